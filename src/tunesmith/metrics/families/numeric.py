"""Numbers against numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.metrics.match import squared_error
from tunesmith.metrics.metric import Metric, ScoredRow

if TYPE_CHECKING:
    from tunesmith.metrics.metric import Array


def _sides(rows: Sequence[ScoredRow]) -> tuple[Array, Array]:
    import numpy as np

    ours = np.asarray([row.prediction for row in rows], np.float64)
    return ours, np.asarray([row.reference for row in rows], np.float64)


def _pearson(rows: Sequence[ScoredRow]) -> float:
    """Covariance over the two standard deviations, from centred values: a large mean costs no digits.

    Not a number if either side is constant, or there are fewer than two: nothing varies together.
    """
    import numpy as np

    x, y = _sides(rows)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    x, y = x / np.abs(x).max(), y / np.abs(y).max()  # tiny spreads would underflow when squared
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def _moments(rows: Sequence[ScoredRow]) -> Array:
    import numpy as np

    x, y = _sides(rows)
    x, y = x - x.mean(), y - y.mean()  # r does not change, and the moments keep their digits
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _correlation(sums: Array) -> Array:
    import numpy as np

    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (n * xy - x * y) / np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return np.asarray(np.clip(r, -1.0, 1.0))


def _ranks(values: Array) -> Array:
    import numpy as np

    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places], np.float64)


def _spearman(rows: Sequence[ScoredRow]) -> float:
    """Pearson's r of the ranks, ties by their mean rank; not a number if either side is constant."""
    import numpy as np

    x, y = map(_ranks, _sides(rows))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


METRICS = (
    Metric(
        name="mse",
        needs="number",
        better="min",
        high=math.inf,
        each=lambda row: squared_error(float(row.prediction), float(row.reference)),
        meaning="mean squared error",
    ),
    Metric(
        name="pearson",
        needs="number",
        low=-1.0,
        statistics=_moments,
        combine=_correlation,
        whole=_pearson,
        contrasts=True,
        meaning="Pearson's r; not a number if either side is constant",
    ),
    Metric(
        name="spearman",
        needs="number",
        low=-1.0,
        whole=_spearman,
        contrasts=True,
        meaning="Spearman's rank correlation; not a number if either side is constant",
    ),
)
