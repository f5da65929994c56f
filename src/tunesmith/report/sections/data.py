"""The section about the data: where rows came from, what was found in them, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith import numbers
from tunesmith.report.run_files import Record, RunFiles

MEANINGS: Mapping[str, str] = {
    "empty": "rows with nothing to learn from",
    "malformed": "rows that could not be read",
    "duplicates": "rows that stand there more than once",
    "near_duplicates": "rows almost equal to another",
    "conflicts": "equal questions with different answers",
    "leakage": "rows that stand in both training and evaluation",
    "too_long": "rows longer than the model may see",
    "no_loss": "rows without a single token that carries loss",
    "truncated": "rows whose start was cut to fit",
    "alike_labels": "rows whose label differs from another in case, blanks or the form of a letter alone",
    "excluded": "rows that the recipe leaves out by name; their places in steps stayed empty",
    "changed": "pictures that were changed before they were seen",
}
"""Reason to what it means; the order is the table's."""

MOST_EXAMPLES, MOST_CHARACTERS = 5, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """One kind of trouble in the data, with a few rows that show it: ``(id, detail)``."""

    reason: str
    meaning: str
    found: int
    dropped: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """What the page says of the data, as text."""

    sources: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, str], ...]
    findings: tuple[FindingRow, ...]
    clean: tuple[str, ...]
    notes: tuple[str, ...]
    fingerprint: str


def data_section(run: RunFiles) -> DataSection | None:
    """The data report, or ``None`` where the run has not come so far."""
    data = run.data
    if data is None:
        return None
    findings = _findings(data)
    return DataSection(
        sources=tuple(_source(source) for source in data.get("sources") or () if isinstance(source, Mapping)),
        counts=tuple(_counts(data)),
        findings=tuple(finding for finding in findings if finding.found or finding.dropped),
        clean=tuple(numbers.phrase(f.reason) for f in findings if not f.found and not f.dropped),
        notes=tuple(str(note) for note in data.get("notes") or () if isinstance(note, str)),
        fingerprint=str(data.get("fingerprint") or ""),
    )


def _source(source: Record) -> tuple[str, str]:
    rows = numbers.number(source.get("rows"))
    if source.get("taken") == "sample":
        rows = f"{rows} of {numbers.number(source.get('of'))}, a sample"
    elif source.get("taken") == "first":
        rows = f"the first {rows}"
    return str(source.get("source", numbers.ABSENT)), rows


def _counts(data: Record) -> list[tuple[str, str]]:
    tokens = _mapping(data.get("tokens"))
    rows = [("training rows", data.get("train")), ("evaluation rows", data.get("eval"))]
    rows += [("test rows", data.get("test"))]
    rows += [(f"rows of {name}", count) for name, count in _mapping(data.get("sets")).items()]
    pairs = [(name, numbers.number(value)) for name, value in rows if value is not None]
    if data.get("eval_of") is not None:
        pairs.append(("of them measured", f"a sample of {numbers.number(data['eval_of'])}"))
    names = {"total": "tokens", "supervised": "tokens that carry loss", "median": "median length"}
    for key, value in tokens.items():
        text = numbers.number(int(value) if isinstance(value, float) and value.is_integer() else value)
        if key == "supervised" and _count(tokens.get("total")):
            text += f" ({numbers.percent(_count(value) / _count(tokens.get('total')))})"
        pairs.append((names.get(key, "longest row" if key == "longest" else numbers.phrase(key)), text))
    return pairs


def _findings(data: Record) -> list[FindingRow]:
    found, dropped = _mapping(data.get("found")), _mapping(data.get("dropped"))
    examples = _mapping(data.get("examples_of"))
    reasons = [*MEANINGS, *(key for key in (*found, *dropped) if key not in MEANINGS)]
    return [
        FindingRow(
            reason=reason,
            meaning=MEANINGS.get(reason, ""),
            found=_count(found.get(reason)),
            dropped=_count(dropped.get(reason)),
            examples=_examples(examples.get(reason)),
        )
        for reason in dict.fromkeys(reasons)
        if reason in found or reason in dropped
    ]


def _examples(rows: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(rows, list):
        return ()
    shown = [row for row in rows if isinstance(row, Mapping)][:MOST_EXAMPLES]
    return tuple((str(row.get("id", "")), _short(str(row.get("detail", "")))) for row in shown)


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
