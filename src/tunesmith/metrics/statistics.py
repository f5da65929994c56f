"""What a metric gives on parts and resamples of its examples: the ground of intervals and paired tests.

Most metrics are functions of sums over examples. So one bootstrap serves them: draw examples, add up their
rows, combine. For a mean the rows are the value and 1; for Pearson's r they are the moments; for macro-F1 the
counts of each label; for BLEU its n-gram counts. The others are computed again on each resample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.compute import each_value, find_metric
from tunesmith.metrics.metric import Metric, ScoredRow, ratio

Array = NDArray[np.float64]
MOST_VISITS = 1_000_000
"""Examples that a metric is computed on over all resamples together; 50 resamples are made in any case."""
LEAST_RESAMPLES = 50


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sufficient statistics of a metric.

    Attributes:
        rows: per example, shape ``[examples, k]``.
        combine: sums of rows, shape ``[..., k]``, to values of the metric, shape ``[...]``.
    """

    rows: Array
    combine: Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A metric that is no function of sums, with its examples.

    Attributes:
        metric: with ``whole``.
        rows: the examples.
    """

    metric: Metric
    rows: Sequence[ScoredRow]

    def resamples(self, most: int) -> int:
        """How many are made, at most ``most``: fewer where there are many examples."""
        bound = max(LEAST_RESAMPLES, MOST_VISITS // max(1, len(self.rows)))
        return min(most, self.metric.resamples, bound)

    def value(self, places: Sequence[int] | NDArray[np.int64]) -> float:
        """The metric of the examples at these places; not a number where it has none, or fails."""
        assert self.metric.whole is not None
        try:
            return float(self.metric.whole([self.rows[place] for place in places]))
        except Exception:  # some resample may lack a class, or whatever a library needs
            return float("nan")


def statistics(name: str, rows: Sequence[ScoredRow]) -> Statistics | Recomputed:
    """What a metric gives on parts of the examples, of which there is at least one."""
    metric = find_metric(name)
    stats = sums_of(metric, rows)
    if stats is None:
        return Recomputed(metric, rows)
    link = metric.link
    return stats if link is None else Statistics(stats.rows, lambda sums: link(stats.combine(sums)))


def sums_of(metric: Metric, rows: Sequence[ScoredRow]) -> Statistics | None:
    """Statistics before ``link``; ``None`` where the metric is no function of sums, or they are too large."""
    if metric.each is not None:
        values = each_value(metric, rows)
        return ratio_statistics(values, [1] * len(values))
    if metric.statistics is None or metric.combine is None:
        return None
    found = metric.statistics(rows)
    return None if found is None else Statistics(np.asarray(found, np.float64), metric.combine)


def ratio_statistics(totals: Sequence[float], counts: Sequence[float]) -> Statistics:
    """A ratio of sums: a loss per token, or with counts of 1 a mean. Both of shape ``[examples]``."""
    rows = np.stack([np.asarray(totals, np.float64), np.asarray(counts, np.float64)], axis=-1)
    return Statistics(rows, ratio)
