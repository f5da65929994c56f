"""How well a search finds what belongs to each row among what belongs to all."""

from __future__ import annotations

import math
from collections.abc import Callable

from tunesmith.metrics.metric import Metric, ScoredRow


def _rank(row: ScoredRow) -> float:
    return float(row.given.get("rank", math.nan))


def _within(k: int) -> Callable[[ScoredRow], float]:
    return lambda row: math.nan if math.isnan(_rank(row)) else float(_rank(row) <= k)


def _reciprocal(k: int) -> Callable[[ScoredRow], float]:
    return lambda row: math.nan if math.isnan(_rank(row)) else (1 / _rank(row) if _rank(row) <= k else 0.0)


METRICS = (
    *(
        Metric(
            name=f"recall_at_{k}",
            needs="given",
            each=_within(k),
            proportion=True,
            meaning=f"share of rows whose own text is among the {k} nearest of all rows'",
        )
        for k in (1, 10)
    ),
    Metric(
        name="mrr_at_10",
        needs="given",
        each=_reciprocal(10),
        meaning="mean of 1 over the rank of a row's own text, 0 beyond the tenth",
    ),
)
