"""`eval.limit`: a sample of the evaluation rows that stands for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from tunesmith.data.kinds.table import answer_of
from tunesmith.data.load import LoadedRows
from tunesmith.data.row import Row
from tunesmith.judge.schedule.subset import nested_order

FEW = 100
"""Different answers up to which each is a class."""


def limited(rows: LoadedRows, limit: int | None, seed: int) -> LoadedRows:
    """The rows with at most so many to evaluate on; each label has its share, and all keep their order.

    Args:
        rows: as loaded.
        limit: rows to keep; ``None``: all.
        seed: decides which.
    """
    if limit is None or limit >= len(rows.eval):
        return rows
    order = nested_order(_strata(rows.eval), seed)
    kept = tuple(rows.eval[index] for index in sorted(order[:limit]))
    return replace(rows, eval=kept, report=replace(rows.report, eval_of=len(rows.eval)))


def _strata(rows: Sequence[Row]) -> list[Hashable]:
    classes: list[Hashable] = [answer_of(row) for row in rows]
    return classes if len(set(classes)) <= FEW else [0] * len(rows)
