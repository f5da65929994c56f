"""How far a classifier's confidence can be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.metrics.families.graded import value_given
from tunesmith.metrics.match import label_match
from tunesmith.metrics.metric import Metric, ScoredRow

if TYPE_CHECKING:
    from tunesmith.metrics.metric import Array

BINS = 15


def brier(probabilities: Sequence[float], truth: int) -> float:
    """Squared distance of the class probabilities from the truth: ``Σ_k (p_k − y_k)²``, from 0 to 2.

    In the form of Brier (1950, Monthly Weather Review 78:1-3), over all classes.
    """
    return sum((p - float(k == truth)) ** 2 for k, p in enumerate(probabilities))


def gaps(rows: Sequence[ScoredRow]) -> Array:
    """What each example adds to the gap of its bin, and 1: rows of shape ``[examples, BINS + 1]``."""
    import numpy as np

    confident = np.asarray([row.given.get("confidence", math.nan) for row in rows], np.float64)
    hits = np.asarray([label_match(row.prediction, row.reference) for row in rows], np.float64)
    found = np.zeros((len(confident), BINS + 1))
    known = np.nan_to_num(confident)
    places = np.clip(np.ceil(known * BINS).astype(np.int64) - 1, 0, BINS - 1)
    found[np.arange(len(found)), places] = hits - confident
    found[:, BINS] = 1
    return found


def expected_calibration_error(sums: Array) -> Array:
    """``Σ_m |B_m|/n · |acc(B_m) − conf(B_m)|`` over ``BINS`` equal bins of confidence.

    Guo et al. 2017, arXiv 1706.04599, section 2. Biased upwards where there are few examples.

    Args:
        sums: of ``gaps``, shape ``[..., BINS + 1]``.
    """
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(sums[..., :BINS]).sum(axis=-1) / sums[..., BINS])


METRICS = (
    Metric(
        name="ece",
        needs="given",
        better="min",
        statistics=gaps,
        combine=expected_calibration_error,
        meaning="expected calibration error: how far confidence is from accuracy",
    ),
    Metric(
        name="brier",
        needs="given",
        better="min",
        high=2.0,
        each=value_given("brier"),
        meaning="squared distance of class probabilities from the truth",
    ),
)
