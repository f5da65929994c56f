"""Losses of tokens by where in their example they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.compute import metric_value
from tunesmith.metrics.metric import AnsweredRow
from tunesmith.metrics.names import slice_name
from tunesmith.tasks.task import Scored


def add_by_position(
    given: Sequence[dict[str, float]], owners: Sequence[int], losses: Sequence[float]
) -> None:
    """Add losses of tokens, in order within each example, as sums and counts over ranges of positions.

    Range k ends with position 2**k: 1, 2, 3 to 4, 5 to 8 and so on; ``loss@k`` and ``count@k``.
    """
    seen: dict[int, int] = {}
    for owner, loss in zip(owners, losses, strict=True):
        position = seen[owner] = seen.get(owner, 0) + 1
        power, mine = (position - 1).bit_length(), given[owner]
        mine[f"loss@{power}"] = mine.get(f"loss@{power}", 0.0) + loss
        mine[f"count@{power}"] = mine.get(f"count@{power}", 0.0) + 1


LEAST = 20
"""Examples that reach a range of positions, below which it is not told apart."""


def by_position(scored: Sequence[Scored]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Perplexity of the 1st, the 2nd, the 3rd to 4th, 5th to 8th supervised token and so on, with intervals.

    They are named like slices, ``perplexity[position=5-8]``. Each is over the examples that reach so far.
    """
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    reached = range(max((_depth(one.given) for one in scored), default=0))
    for power in reached:
        rows = [
            AnsweredRow(None, None, loss=one.given[f"loss@{power}"], count=int(one.given[f"count@{power}"]))
            for one in scored
            if f"count@{power}" in one.given
        ]
        if len(rows) < LEAST:
            break
        name = slice_name("perplexity", "position", label_of(power))
        values[name] = metric_value("perplexity", rows)
        interval = metric_interval("perplexity", rows)
        if interval is not None:
            intervals[name] = interval
    return values, intervals


def label_of(power: int) -> str:
    """The positions of one range: ``1``, ``2``, ``3-4``, and so on."""
    return str(power + 1) if power < 2 else f"{2 ** (power - 1) + 1}-{2**power}"


def _depth(given: Mapping[str, float]) -> int:
    return sum(name.startswith("count@") for name in given)
