"""Tails of three distributions, and how an error rate is spent over repeated looks."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300


def spend(alpha: float, look: int) -> float:
    """The share of ``alpha`` that look number ``look`` (from 1) may use: ``6 alpha / (pi look)**2``.

    Over all looks, however many there will be, the shares add up to ``alpha`` (Euler: the sum of 1/k² is
    pi²/6). So, by the union bound, a rule that tests at each look with that look's share errs in at most
    ``alpha`` of all runs (alpha spending, Lan and DeMets 1983, Biometrika 70:659-663).
    """
    assert look >= 1, f"look {look}"
    return 6 * alpha / (math.pi * look) ** 2


def normal_quantile(share: float) -> float:
    """The z below which ``share`` of a standard normal lies."""
    return _NORMAL.inv_cdf(min(max(share, 1e-15), 1 - 1e-15))


def normal_tail(z: float) -> float:
    """Share of a standard normal above ``z``."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def student_tail(t: float, freedom: float) -> float:
    """Share of Student's t with ``freedom`` degrees above ``t``: half of I_x(f/2, 1/2), x = f / (f + t²)."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    half = 0.5 * beta_share(freedom / 2, 0.5, freedom / (freedom + t * t))
    return half if t >= 0 else 1.0 - half


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """Probability of ``successes`` or more in ``trials`` draws: I_chance(k, n - k + 1)."""
    if successes <= 0:
        return 1.0
    if successes > trials or chance <= 0:
        return 0.0
    return 1.0 if chance >= 1 else beta_share(float(successes), trials - successes + 1.0, chance)


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction.

    Abramowitz and Stegun 26.5.8, evaluated from the front (Lentz 1976); where ``x`` is beyond the mean the
    symmetry I_x(a, b) = 1 - I_{1-x}(b, a) makes it converge fast.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_share(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return min(1.0, math.exp(front) * _fraction(a, b, x) / a)


def _fraction(a: float, b: float, x: float) -> float:
    upper, lower = 1.0, 1 / _safe(1 - (a + b) * x / (a + 1))
    value = lower
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            lower = 1 / _safe(1 + term * lower)
            upper = _safe(1 + term / upper)
            change = lower * upper
            value *= change
        if abs(change - 1) < 1e-13:
            break
    return value


def _safe(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
