"""Metrics of parts of the evaluation set, named ``accuracy[column=value]``: the section about slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith import numbers
from tunesmith.metrics.names import slice_of
from tunesmith.metrics.table import direction
from tunesmith.report.run_files import Record, RunFiles
from tunesmith.report.summary import baseline, best, metrics_of

MOST_ROWS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One part of the evaluation set: a value of the column, its score before and after, in words.

    Attributes:
        value: of the column.
        before: the baseline's score.
        after: the kept model's.
        interval: of the latter.
        change: after less before.
        better: whether the change is one for the better; ``None`` if there is none.
        low: where a bar of the score begins, 0 to 100.
        high: where it ends.
        at: where the score itself lies between.
        worst: whether no other part scores worse.
    """

    value: str
    before: str
    after: str
    interval: str
    change: str
    better: bool | None
    low: int
    high: int
    at: int
    worst: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """All parts by one column and metric, the worst first; ``whole`` is the score of the whole set."""

    metric: str
    column: str
    whole: str
    rows: tuple[SliceRow, ...]
    left_out: int


def is_slice(name: str) -> bool:
    """Whether a metric's name is that of a part of the evaluation set."""
    return slice_of(name) is not None


def slices(run: RunFiles) -> list[SliceTable]:
    """A table for each metric and column, in the order in which they were measured."""
    before, after = baseline(run), best(run)
    parts: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name in metrics_of(after):
        part = slice_of(name)
        if part is not None:
            parts.setdefault((part.metric, part.column), []).append((part.value, name))
    return [
        _table(metric, column, found, before or {}, after or {}) for (metric, column), found in parts.items()
    ]


def _table(
    metric: str, column: str, found: Sequence[tuple[str, str]], before: Record, after: Record
) -> SliceTable:
    scores = metrics_of(after)
    sign = 1 if direction(metric) == "max" else -1
    ordered = sorted(found, key=lambda pair: (sign * scores[pair[1]], pair[0]))
    bounds = [_bounds(after, name) or (scores[name], scores[name]) for _, name in ordered]
    low = min([0.0, *(pair[0] for pair in bounds)])
    high = max([1.0 if all(0 <= scores[n] <= 1 for _, n in found) else 0.0, *(pair[1] for pair in bounds)])

    def place(value: float) -> int:
        return max(0, min(100, round(100 * (value - low) / (high - low)))) if high > low else 0

    rows = [
        _row(value, name, metric, before, after, place, worst=index == 0 and len(ordered) > 1)
        for index, (value, name) in enumerate(ordered)
    ]
    return SliceTable(
        metric=metric,
        column=column,
        whole=numbers.number(scores.get(metric)),
        rows=tuple(rows[:MOST_ROWS]),
        left_out=max(0, len(rows) - MOST_ROWS),
    )


def _row(
    value: str,
    name: str,
    metric: str,
    before: Record,
    after: Record,
    place: Callable[[float], int],
    *,
    worst: bool,
) -> SliceRow:
    was, now = metrics_of(before).get(name), metrics_of(after)[name]
    change = None if was is None else now - was
    sign = 1 if direction(metric) == "max" else -1
    low, high = _bounds(after, name) or (now, now)
    return SliceRow(
        value=value,
        before=numbers.number(was),
        after=numbers.number(now),
        interval=numbers.interval(_bounds(after, name)),
        change=numbers.ABSENT if change is None else numbers.signed(change),
        better=sign * change > 0 if change else None,
        low=place(low),
        high=place(high),
        at=place(now),
        worst=worst,
    )


def _bounds(record: Record, name: str) -> tuple[float, float] | None:
    intervals = record.get("intervals")
    pair = intervals.get(name) if isinstance(intervals, Mapping) else None
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return None
    return (pair[0], pair[1]) if all(isinstance(bound, int | float) for bound in pair) else None
