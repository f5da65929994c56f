"""Two measurements on the same examples: by how much is the newer one better, and how sure is that?

What an example gives varies much from example to example, but little from one checkpoint to the next.
So the differences, example by example, tell far smaller changes from chance than two intervals do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.judge.statistics.distributions import binomial_tail, student_tail
from tunesmith.judge.statistics.example_scores import Array, Scores
from tunesmith.metrics.statistics import Statistics
from tunesmith.metrics.table import metric_direction

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A comparison with an earlier measurement, in a few numbers.

    Attributes:
        metric: what was compared.
        against: step of the earlier measurement.
        gain: by how much the newer one is better, on the examples that both saw; negative if worse.
        error: standard error of ``gain``.
        units: examples both saw, or clusters of them, where rows belong together.
        wins: examples that went from wrong to right, where each is either; else ``None``.
        losses: examples that went from right to wrong.
    """

    metric: str
    against: int
    gain: float
    error: float
    units: int
    wins: int | None = None
    losses: int | None = None


def paired_test(
    metric: str, newer: Scores, older: Scores, clusters: Sequence[int] | NDArray[np.int64] | None = None
) -> Paired | None:
    """Compare two measurements of a ratio ``sum(totals) / sum(counts)`` example by example.

    With v the ratio, the error of ``v_new - v_old`` is that of the sum of
    ``e_i = (T_i - v C_i)_new / sum(C)_new - (T_i - v C_i)_old / sum(C)_old``:
    ``error = sqrt(m / (m - 1) * sum(e**2))`` over m examples, or over m clusters with ``e`` summed within
    each (the ratio estimator of survey sampling, Cochran 1977, section 6.3; clustered: Miller 2024,
    arXiv 2411.00640, equations 4 and 7). If one saw fewer examples, both are cut to those.

    Args:
        metric: for its direction.
        newer: scores of the newer measurement.
        older: of the earlier one, with the same examples in the same order.
        clusters: number of each example's cluster.

    Returns:
        ``None`` if fewer than two units are common, or a value is not finite.
    """
    examples = min(len(newer.totals), len(older.totals))
    new, old = newer.first(examples), older.first(examples)
    numbers = (new.totals, new.counts, old.totals, old.counts)
    if examples < 2 or not all(np.isfinite(each).all() for each in numbers):
        return None
    if new.counts.sum() <= 0 or old.counts.sum() <= 0:
        return None
    sign = 1.0 if metric_direction(metric) == "max" else -1.0
    rest = _residuals(new) - _residuals(old)
    if clusters is not None:
        rest = _within(rest, np.asarray(clusters)[:examples])
    units = len(rest)
    if units < 2:
        return None
    error = math.sqrt(units / (units - 1) * float(rest @ rest))
    wins, losses = _flips(new, old, sign) if clusters is None else (None, None)
    return Paired(
        metric=metric,
        against=older.step,
        gain=sign * (new.value - old.value),
        error=error,
        units=units,
        wins=wins,
        losses=losses,
    )


def _residuals(scores: Scores) -> Array:
    rest: Array = (scores.totals - scores.value * scores.counts) / scores.counts.sum()
    return rest


def _within(values: Array, clusters: NDArray[Any]) -> Array:
    """Sums over the members of each cluster."""
    codes = np.unique(clusters, return_inverse=True)[1]
    sums: Array = np.bincount(codes, values).astype(np.float64)
    return sums


def _flips(new: Scores, old: Scores, sign: float) -> tuple[int | None, int | None]:
    either = np.isin(new.totals, (0.0, 1.0)).all() and np.isin(old.totals, (0.0, 1.0)).all()
    if not either or not (new.counts == 1).all() or not (old.counts == 1).all():
        return None, None
    better = sign * (new.totals - old.totals)
    return int((better > 0).sum()), int((better < 0).sum())


def p_better(pair: Paired, by: float = 0.0) -> float:
    """Chance of a gain as large as this if the true one were ``by`` or less.

    For rights and wrongs and ``by`` 0 it is McNemar's test, exact (McNemar 1947; the binomial tail over
    the examples that changed); else Student's t of ``(gain - by) / error``.
    """
    if by == 0.0 and pair.wins is not None and pair.losses is not None:
        return binomial_tail(pair.wins, pair.wins + pair.losses, 0.5)
    return _tail(pair.gain - by, pair)


def p_worse(pair: Paired, by: float = 0.0) -> float:
    """Chance of a loss as large as this if the true loss were ``by`` or less; see ``p_better``."""
    if by == 0.0 and pair.wins is not None and pair.losses is not None:
        return binomial_tail(pair.losses, pair.wins + pair.losses, 0.5)
    return _tail(-pair.gain - by, pair)


def _tail(excess: float, pair: Paired) -> float:
    if pair.error > 0:
        return student_tail(excess / pair.error, pair.units - 1)
    return 0.0 if excess > 0 else 1.0


def paired_bootstrap(
    metric: str,
    newer: Statistics,
    older: Statistics,
    *,
    against: int,
    clusters: Sequence[int] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Paired, tuple[float, float]] | None:
    """Gain of any metric that is a function of sums, its error and its 95 % interval.

    The same examples (or clusters) are drawn for both (Efron and Tibshirani 1993, chapter 8; for
    translation metrics Koehn 2004), so that what they have in common cancels.

    Returns:
        ``None`` if there are fewer than two units, or the metric has no value for most draws.
    """
    rows = np.concatenate([newer.rows, older.rows], axis=1)
    if clusters is not None:
        codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
        rows = np.stack([np.bincount(codes, column) for column in rows.T], axis=1)
    units, width = len(rows), newer.rows.shape[1]
    if units < 2 or not np.isfinite(rows).all():
        return None
    generator = np.random.default_rng(seed)
    times = generator.multinomial(units, np.full(units, 1 / units), resamples).astype(np.float64)
    sums = np.concatenate([rows.sum(axis=0, keepdims=True), times @ rows])
    sign = 1.0 if metric_direction(metric) == "max" else -1.0
    gains = sign * (newer.combine(sums[:, :width]) - older.combine(sums[:, width:]))
    drawn = gains[1:][np.isfinite(gains[1:])]
    if not math.isfinite(gains[0]) or 2 * len(drawn) < resamples:
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    error = float(drawn.std(ddof=1))
    pair = Paired(metric=metric, against=against, gain=float(gains[0]), error=error, units=units)
    return pair, (float(low), float(high))


def pair_to_plain(pair: Paired) -> dict[str, object]:
    """A comparison as values that JSON can hold."""
    return {name: value for name, value in asdict(pair).items() if value is not None}


def pair_from_plain(plain: dict[str, Any]) -> Paired:
    """What ``pair_to_plain`` wrote."""
    return Paired(**plain)
