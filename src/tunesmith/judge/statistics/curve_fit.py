"""Where a learning curve is going, with how uncertain that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Fit = tuple[float, float, Array, Array]
"""Squared error, exponent, c and a, and the inverse of the normal matrix."""
EXPONENTS = (0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolation:
    """What a curve is expected to do between now and then.

    Attributes:
        value: expected at the end.
        value_error: its standard deviation.
        gain: expected fall from now to the end (of an error: less is better).
        gain_error: its standard deviation.
        noise: standard deviation of one point around the curve.
    """

    value: float
    value_error: float
    gain: float
    gain_error: float
    noise: float


def extrapolate(
    times: Sequence[float], errors: Sequence[float], ends: Sequence[float]
) -> list[Extrapolation] | None:
    """Extrapolate ``errors`` (less is better) to each of ``ends``.

    The family is ``y = c + a s**-b`` with ``s = 1 + times / scale`` and b from a grid; for each b, c and a
    are least squares, and the fits are averaged by their likelihood (the power law of learning curves:
    Hestness et al. 2017, arXiv 1712.00409; averaging over a grid in place of the sampling of Domhan et al.
    2015). The noise is the smaller of the best fit's residual and the median absolute second difference,
    ``median|d2| / (0.6745 sqrt(6))``, which a trend does not disturb. The spread within and between the
    fits is the uncertainty: ``var = E[var_b] + Var[mean_b]``. Fits in which the curve rises (a < 0) count
    as flat: a rise is no gain to come.

    Args:
        times: of the points, ascending, e.g. steps.
        errors: one a point.
        ends: times to extrapolate to.

    Returns:
        One outlook an end; ``None`` with fewer than 5 points or none after time 0.
    """
    t, y = np.asarray(times, np.float64), np.asarray(errors, np.float64)
    if len(y) < 5 or t[-1] <= 0:
        return None
    scale = t[-1] / len(y)
    points, last = 1 + t / scale, 1 + t[-1] / scale
    fits: list[Fit] = []
    for exponent in EXPONENTS:
        design = np.stack([np.ones_like(points), points**-exponent], axis=1)
        inverse = np.linalg.pinv(design.T @ design)
        found = inverse @ (design.T @ y)
        rest = y - design @ found
        fits.append((float(rest @ rest), exponent, found, inverse))
    squares = np.array([fit[0] for fit in fits])
    variance = _noise(y, float(squares.min()))
    weights = np.exp(-0.5 * (squares - squares.min()) / variance)
    weights /= weights.sum()
    return [_at(1 + end / scale, last, fits, weights, variance) for end in ends]


def _noise(values: Array, least: float) -> float:
    variance = least / max(len(values) - 3, 1)
    if len(values) >= 7:
        bends = np.diff(values, 2)
        variance = min(variance, (float(np.median(np.abs(bends))) / 0.6745) ** 2 / 6)
    return max(variance, 1e-8 * float(np.var(values)), 1e-18)


def _at(end: float, last: float, fits: Sequence[Fit], weights: Array, variance: float) -> Extrapolation:
    moments = np.zeros((2, 2))
    for (_, exponent, found, inverse), weight in zip(fits, weights, strict=True):
        there = np.array([1.0, end**-exponent])
        fall = np.array([1.0, last**-exponent]) - there
        for row, direction in enumerate((there, fall)):
            mean = float(direction @ found)
            if row and found[1] < 0:
                mean = 0.0
            spread = variance * float(direction @ inverse @ direction)
            moments[row] += weight * np.array([mean, mean * mean + spread])
    (value, value2), (gain, gain2) = moments
    return Extrapolation(
        value=float(value),
        value_error=math.sqrt(max(value2 - value * value, 0.0)),
        gain=float(gain),
        gain_error=math.sqrt(max(gain2 - gain * gain, 0.0)),
        noise=math.sqrt(variance),
    )
