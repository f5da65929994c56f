"""The section about what was decided at each evaluation, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith import numbers
from tunesmith.report.run_files import Record, RunFiles
from tunesmith.report.sections.results import MOST_VERDICTS, bounds_of, metric_names
from tunesmith.report.summary import best, metrics_of, notes_of

MOST_COLUMNS = 2
"""Metrics with a column of their own; the others share one, so that decision and reason have their room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """One evaluation and what was decided.

    Attributes:
        step: optimiser steps before it.
        metrics: value and interval, in the order of the table's columns.
        others: name, value and interval of what has no column of its own.
        examples: rows that were scored.
        seconds: that it took.
        decision: ``continue``, ``stop`` or ``unknown``.
        rule: that decided.
        reason: in words.
        notes: what else was said of it, such as which guard bars these weights.
        kept: whether its weights are the ones kept.
    """

    step: int
    metrics: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str, str], ...]
    examples: str
    seconds: str
    decision: str
    rule: str
    reason: str
    notes: tuple[str, ...]
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """The table of evaluations: its columns, whether rows have more than these, and how many are left out."""

    columns: tuple[str, ...]
    has_others: bool
    rows: tuple[VerdictRow, ...]
    left_out: int


def verdicts(run: RunFiles) -> Verdicts | None:
    """Every evaluation with its verdict; of very many the first, the last, and all that changed something."""
    if not run.evals:
        return None
    names, kept = metric_names(run, run.evals), best(run)
    columns = tuple(names[:MOST_COLUMNS])
    kept_step = kept.get("step") if kept else None
    shown = [record for index, record in enumerate(run.evals) if _is_shown(run.evals, index, kept_step)]
    rows = tuple(_verdict_row(record, names, kept_step) for record in shown)
    has_others = len(names) > MOST_COLUMNS
    return Verdicts(columns=columns, has_others=has_others, rows=rows, left_out=len(run.evals) - len(rows))


def _is_shown(evals: Sequence[Record], index: int, kept_step: int | None) -> bool:
    if (
        len(evals) <= MOST_VERDICTS
        or index < 5
        or index >= len(evals) - 20
        or evals[index]["step"] == kept_step
    ):
        return True
    return index % -(-len(evals) // (MOST_VERDICTS - 25)) == 0


def _verdict_row(record: Record, names: Sequence[str], kept_step: int | None) -> VerdictRow:
    found = record.get("verdict")
    verdict: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    metrics = metrics_of(record)
    told = [(n, numbers.number(metrics.get(n)), numbers.interval(bounds_of(record, n))) for n in names]
    return VerdictRow(
        step=record["step"],
        metrics=tuple((value, between) for _, value, between in told[:MOST_COLUMNS]),
        others=tuple(one for one in told[MOST_COLUMNS:] if one[0] in metrics),
        examples=numbers.number(record.get("examples")),
        seconds=numbers.duration(record.get("seconds")),
        decision=str(verdict.get("decision") or numbers.ABSENT),
        rule=str(verdict.get("rule") or ""),
        reason=str(verdict.get("reason") or ""),
        notes=tuple(notes_of(record)),
        kept=record["step"] == kept_step,
    )
