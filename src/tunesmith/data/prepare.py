"""From the recipe's ``data`` to rows that a task can encode: read, map, clean, split, clean again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.data.clean import clean_duplicates, clean_leakage, clean_skips, looks_for_near
from tunesmith.data.digest import rows_fingerprint
from tunesmith.data.findings import NOTHING, Findings
from tunesmith.data.mixture import check_weights
from tunesmith.data.read import read_rows
from tunesmith.data.report import DataReport, SourceRows
from tunesmith.data.row import Row, Skip
from tunesmith.data.sample import Sample, map_rows
from tunesmith.data.shapes import Needs, choose_shape
from tunesmith.data.split import hold_out
from tunesmith.data.values import rewrite_values
from tunesmith.errors import UserError
from tunesmith.recipe.schema import Data, Holdout, Rows


@dataclass(frozen=True, slots=True)
class LoadedRows:
    """Rows, cleaned and parted.

    Attributes:
        train: to learn from, in the order of the sources.
        eval: to evaluate on.
        source_of: per training row, the number of its source (for ``make_mixture``).
        weights: per source of ``data.train``.
        report: what was read, found and dropped.
        fingerprint: SHA-256 over all rows that are left, in order.
    """

    train: tuple[Row, ...]
    eval: tuple[Row, ...]
    source_of: tuple[int, ...]
    weights: tuple[float | None, ...]
    report: DataReport
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Source:
    samples: list[Sample]
    skips: list[tuple[Skip, str]]
    rows: SourceRows


def load_rows(data: Data, needs: Needs, seed: int, *, folder: Path | None = None) -> LoadedRows:
    """Everything up to encoding; the same on every process.

    Args:
        data: the recipe's section.
        needs: alternatives, in order of preference, each a set of fields that the task can learn from.
        seed: decides which rows are held out.
        folder: the recipe's folder, for ``python:`` sources; default: the working directory.

    Raises:
        UserError: a source cannot be read or mapped, a policy says ``error``, or no row is left.
    """
    weights = tuple(rows.weight for rows in data.train)
    check_weights(weights, "data.train")
    labels = _labels([*data.train, *([data.eval] if isinstance(data.eval, Rows) else [])])
    sources = [
        _load_source(rows, labels[number], number, needs, folder=folder, where=_where(data, number))
        for number, rows in enumerate(data.train)
    ]
    findings = _clean_skips(sources, data, NOTHING)
    samples = [sample for source in sources for sample in source.samples]
    looked = looks_for_near(data.clean, len(samples))
    samples, findings = clean_duplicates(samples, data.clean, findings)
    if isinstance(data.eval, Holdout):
        _refuse_nothing(samples, sources, "data.train")
        train, held_out = hold_out(samples, data.eval, seed, "data.eval")
    else:
        own = _load_eval(data.eval, labels[-1], needs, folder)
        sources.append(own)
        findings = _clean_skips([own], data, findings)
        held_out, findings = clean_duplicates(own.samples, data.clean, findings)
        _refuse_nothing(held_out, [own], "data.eval")
        train = samples
        _refuse_nothing(train, sources[:-1], "data.train")
    train, findings = clean_leakage(train, held_out, data.clean, findings)
    if not train:
        raise UserError(
            "no row is left to train on: all of them are evaluated on as well",
            "data.train",
            "give `data.eval` other rows, or hold some out with `eval: {holdout: 0.1}`",
        )
    return _loaded(train, held_out, weights=weights, sources=sources, findings=findings, looked=looked)


def _loaded(
    train: list[Sample],
    held_out: list[Sample],
    *,
    weights: tuple[float | None, ...],
    sources: Sequence[_Source],
    findings: Findings,
    looked: bool,
) -> LoadedRows:
    train_rows = tuple(sample.row for sample in train)
    eval_rows = tuple(sample.row for sample in held_out)
    fingerprint = rows_fingerprint((*train_rows, *eval_rows), str(len(train_rows)))
    report = DataReport(
        sources=tuple(source.rows for source in sources),
        train=len(train_rows),
        eval=len(eval_rows),
        findings=findings,
        looked_for_near=looked,
        fingerprint=fingerprint,
    )
    source_of = tuple(sample.source for sample in train)
    return LoadedRows(train_rows, eval_rows, source_of, weights, report, fingerprint)


def _load_eval(rows: Rows, label: str, needs: Needs, folder: Path | None) -> _Source:
    if rows.weight is not None:
        raise UserError("`weight` means nothing for evaluation", "data.eval", "leave it out")
    return _load_source(rows, label, -1, needs, folder=folder, where="data.eval")


def _load_source(
    rows: Rows, label: str, number: int, needs: Needs, *, folder: Path | None, where: str
) -> _Source:
    raw = read_rows(rows, label=label or None, folder=folder, where=where)
    skips = list(raw.skips)
    samples: list[Sample] = []
    if raw.rows:
        raw = rewrite_values(raw, rows.values, where)
        samples, unmapped = map_rows(raw, choose_shape(rows, raw.columns(), needs, where), number)
        skips += [_with_header_hint(skip, rows) for skip in unmapped]
    placed = [(skip, raw.where(skip.id)) for skip in skips]
    return _Source(samples, placed, SourceRows(rows.source, len(raw.rows) + len(raw.skips)))


def _with_header_hint(skip: Skip, rows: Rows) -> Skip:
    if rows.columns is None or not skip.id.endswith(":1") or skip.reason != "malformed":
        return skip
    return Skip(skip.id, skip.reason, f"{skip.detail}; if line 1 is a header, leave `columns` out")


def _clean_skips(sources: Sequence[_Source], data: Data, findings: Findings) -> Findings:
    skips = [skip for source in sources for skip in source.skips]
    return clean_skips(skips, data.clean, findings)


def _refuse_nothing(samples: Sequence[Sample], sources: Sequence[_Source], where: str) -> None:
    if samples:
        return
    named = ", ".join(f"`{source.rows.source}`" for source in sources)
    read = sum(source.rows.rows for source in sources)
    if read == 0:
        raise UserError(f"{named} has no rows", where, "see whether the file is the right one")
    reason = next((skip.detail for source in sources for skip, _ in source.skips), "")
    raise UserError(
        f"none of the {read} rows of {named} can be used" + (f"; the first: {reason}" if reason else ""),
        where,
        "look at the columns that the recipe names, and at `data.clean`",
    )


def _where(data: Data, number: int) -> str:
    return "data.train" if len(data.train) == 1 else f"data.train, source {number + 1}"


def _labels(all_rows: Sequence[Rows]) -> list[str]:
    """A beginning of row ids per source; empty, where the reader's own is unique."""
    names = [rows.source.removeprefix("python:").rstrip("/").rpartition("/")[2] for rows in all_rows]
    return [f"{name}#{number + 1}" if names.count(name) > 1 else "" for number, name in enumerate(names)]
