"""How far a classifier's confidence can be believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 15


def brier(probabilities: Sequence[float], truth: int) -> float:
    """Squared distance of the class probabilities from the truth: ``Σ_k (p_k − y_k)²``, from 0 to 2.

    In the form of Brier (1950, Monthly Weather Review 78:1-3), over all classes.
    """
    return sum((p - float(k == truth)) ** 2 for k, p in enumerate(probabilities))


def gaps(confidences: Sequence[float], hits: Sequence[float]) -> NDArray[np.float64]:
    """What each example adds to the gap of its bin, and 1: rows of shape ``[examples, BINS + 1]``."""
    confident = np.asarray(confidences, np.float64)
    rows = np.zeros((len(confident), BINS + 1))
    known = np.nan_to_num(confident)
    places = np.clip(np.ceil(known * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows[np.arange(len(rows)), places] = np.asarray(hits, np.float64) - confident
    rows[:, BINS] = 1
    return rows


def expected_calibration_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """``Σ_m |B_m|/n · |acc(B_m) − conf(B_m)|`` over ``BINS`` equal bins of confidence.

    Guo et al. 2017, arXiv 1706.04599, section 2. Biased upwards where there are few examples.

    Args:
        sums: of ``gaps``, shape ``[..., BINS + 1]``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(sums[..., :BINS]).sum(axis=-1) / sums[..., BINS])
