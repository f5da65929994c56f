"""Samples before and after tuning, and what became of each; and training rows as the model sees them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.metrics.match import exact_match
from tunesmith.metrics.table import declared
from tunesmith.report.run_files import Record, RunFiles
from tunesmith.report.summary import metrics_of

Fate = Literal["wrong → right", "right → wrong", "right", "wrong", "closer", "farther", ""]

MOST_SAMPLES, MOST_PREVIEWS = 24, 8
MOST_CHARACTERS, MOST_TOKENS = 1600, 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One held-out row with the answers of the model before and after."""

    id: str
    input: str
    reference: str
    before: str | None
    after: str | None
    fate: Fate


def samples(run: RunFiles) -> list[SampleRow]:
    """The samples of the run, marked where an answer is simply right or wrong, or a number near or far."""
    judged = is_judged(run)
    found = enumerate((run.samples or ())[:MOST_SAMPLES], start=1)
    return [as_sample(sample, str(number), judged=judged) for number, sample in found]


def is_judged(run: RunFiles) -> bool:
    """Whether an answer of this run is either right or wrong."""
    found = [declared(name) for record in run.evals for name in metrics_of(record)]
    return any(one is not None and one.proportion and one.needs in ("text", "label") for one in found)


def as_sample(found: Record, name: str, *, judged: bool) -> SampleRow:
    """One row of ``samples.json``; ``name`` stands for an ``id`` that is not there."""
    before, after, reference = (found.get(key) for key in ("before", "after", "reference"))
    return SampleRow(
        id=str(found.get("id", name)),
        input=_short(found.get("input")) or "",
        reference=_short(reference) or "",
        before=_short(before),
        after=_short(after),
        fate=fate(before, after, reference, judged=judged),
    )


def fate(before: Any, after: Any, reference: Any, *, judged: bool) -> Fate:
    """What became of an answer. ``judged``: an answer other than the reference counts as wrong."""
    if before is None or after is None or reference is None:
        return ""
    if all(isinstance(value, int | float) for value in (before, after, reference)):
        was, now = abs(before - reference), abs(after - reference)
        return "" if was == now else ("closer" if now < was else "farther")
    if not judged:
        return ""
    was_right, is_right = (_same(answer, reference) for answer in (before, after))
    if was_right and is_right:
        return "right"
    if is_right:
        return "wrong → right"
    return "right → wrong" if was_right else "wrong"


def _same(answer: Any, reference: Any) -> bool:
    return exact_match(str(answer), str(reference)) == 1


def told(value: Any) -> str:
    """An answer in words; lists and mappings as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _short(value: Any) -> str | None:
    if value is None:
        return None
    text = f"{value:.4g}" if isinstance(value, float) else told(value)
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} … ({len(text) - MOST_CHARACTERS:,} more characters)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One training row as tokens: runs of ``(texts, carries loss)``, and how many were left out."""

    id: str
    spans: tuple[tuple[tuple[str, ...], bool], ...]
    supervised: int
    tokens: int
    left_out: int


def previews(run: RunFiles) -> list[Preview]:
    """The first training rows with their tokens in stretches of equal kind."""
    return [
        _preview(number, found) for number, found in enumerate((run.preview or ())[:MOST_PREVIEWS], start=1)
    ]


def _preview(number: int, found: Any) -> Preview:
    pairs = [(str(pair[0]), bool(pair[1])) for pair in found.get("tokens") or () if len(pair) == 2]
    spans: list[tuple[list[str], bool]] = []
    for text, supervised in pairs[:MOST_TOKENS]:
        if not spans or spans[-1][1] != supervised:
            spans.append(([], supervised))
        spans[-1][0].append(visible(text))
    return Preview(
        id=str(found.get("id", number)),
        spans=tuple((tuple(texts), supervised) for texts, supervised in spans),
        supervised=sum(supervised for _, supervised in pairs),
        tokens=len(pairs),
        left_out=max(0, len(pairs) - MOST_TOKENS),
    )


def visible(token: str) -> str:
    """A token whose line breaks, tabs and emptiness can be seen."""
    return token.replace("\r", "␍").replace("\n", "↵\n").replace("\t", "⇥\t") or "∅"
