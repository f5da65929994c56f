"""Two runs on the same examples: is one better, how surely, and by how much. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.judge.statistics.intervals import bootstrap
from tunesmith.metrics.compute import each_value
from tunesmith.metrics.families.graded import value_given
from tunesmith.metrics.metric import Metric
from tunesmith.metrics.names import USER_PREFIX
from tunesmith.metrics.statistics import Recomputed, Statistics, statistics, sums_of
from tunesmith.metrics.table import declared, direction
from tunesmith.tasks.task import Scored

RESAMPLES = 5000
SHUFFLES = 9999
_NUMBERS_AT_ONCE = 2_000_000
Array = NDArray[np.float64]
Test = Literal["McNemar", "randomisation", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRows:
    """One metric of two runs on the same examples; differences are the second less the first.

    Attributes:
        metric: its name.
        first: value of the first run.
        second: value of the second.
        difference: in the metric's own unit; the effect that matters.
        interval: its 95 % interval, by the paired bootstrap; ``None`` where there is none.
        p_value: two-sided; ``None`` where no test applies.
        test: which one.
        better: examples on which the second is better, ``None`` where examples have no score of their own.
        worse: examples on which it is worse.
        effect: standardised: Cohen's g of the examples that differ, for scores of 0 and 1; else Cohen's d_z.
        effect_name: ``g`` or ``d_z``; empty if there is none.
        examples: pairs.
    """

    metric: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    test: Test
    better: int | None
    worse: int | None
    effect: float | None
    effect_name: str
    examples: int


def compare_rows(
    metric: str, first: Sequence[Scored], second: Sequence[Scored], *, seed: int = 0
) -> PairedRows:
    """Compare two runs by one metric.

    Args:
        metric: a name of the table of metrics.
        first: scores of the one run.
        second: scores of the other, of the same examples in the same order.
        seed: same seed, same intervals and p-values.

    Raises:
        ValueError: if the metric is none that examples' scores can give.
    """
    # of both together, so that labels and means are those of both, and answers can change places
    found, size = statistics_of(metric, [*first, *second]), len(first)
    if found is None:
        raise ValueError(f"{metric} cannot be made of the scores of examples")
    if isinstance(found, Recomputed):
        return _recomputed(metric, found, size, seed)
    ours, theirs = (Statistics(rows, found.combine) for rows in (found.rows[:size], found.rows[size:]))
    values = [float(one.combine(one.rows.sum(axis=0))) for one in (ours, theirs)]
    singles = [read_example_scores(metric, scored) for scored in (first, second)]
    p_value, test = _p_value(metric, ours, theirs, singles, seed)
    gains = None if singles[0] is None or singles[1] is None else _gains(metric, singles[0], singles[1])
    effect, effect_name = _effect(gains, proportion=_is_proportion(metric))
    return PairedRows(
        metric=metric,
        first=values[0],
        second=values[1],
        difference=values[1] - values[0],
        interval=difference_interval(ours, theirs, seed=seed),
        p_value=p_value,
        test=test,
        better=None if gains is None else int((gains > 0).sum()),
        worse=None if gains is None else int((gains < 0).sum()),
        effect=effect,
        effect_name=effect_name,
        examples=len(first),
    )


def _recomputed(metric: str, found: Recomputed, size: int, seed: int) -> PairedRows:
    """The same for a metric that is no function of sums, of as many resamples and shuffles as it allows."""
    generator, places = np.random.default_rng(seed), np.arange(size)
    first, second = found.value(places), found.value(places + size)
    draws = [generator.integers(0, size, size) for _ in range(found.resamples(RESAMPLES))]
    gains = np.array([found.value(drawn + size) - found.value(drawn) for drawn in draws])
    gains = gains[np.isfinite(gains)]
    coins = [size * generator.integers(0, 2, size) for _ in range(found.resamples(SHUFFLES))]
    swapped = [found.value(places + size - coin) - found.value(places + coin) for coin in coins]
    extreme = int((np.abs(swapped) >= abs(second - first) * (1 - 1e-9)).sum())
    tested = math.isfinite(second - first) and bool(np.isfinite(swapped).all())
    ends = np.quantile(gains, [0.025, 0.975]) if 2 * len(gains) > len(draws) else None
    return PairedRows(
        metric=metric,
        first=first,
        second=second,
        difference=second - first,
        interval=None if ends is None else (float(ends[0]), float(ends[1])),
        p_value=(1 + extreme) / (1 + len(coins)) if tested else None,
        test="randomisation" if tested else "",
        better=None,
        worse=None,
        effect=None,
        effect_name="",
        examples=size,
    )


def statistics_of(metric: str, scored: Sequence[Scored]) -> Statistics | Recomputed | None:
    """What makes the metric on any of these examples; ``None`` where they do not hold what it needs.

    A metric that is code from elsewhere is not run again: a user's own that is a mean of examples' values has
    them with the examples.
    """
    found = known_metric(metric, scored)
    if found is None or not scored:
        return None
    if found.needs_predictions and any(one.prediction is None for one in scored):
        return None
    if found.needs == "values" and not all(one.values for one in scored):
        return None
    stats = sums_of(found, scored) if found.link is None else statistics(metric, scored)
    if not isinstance(stats, Statistics):
        return Recomputed(found, scored)
    return stats if found.needs != "given" or np.isfinite(stats.rows).all() else None


def known_metric(name: str, scored: Sequence[Scored]) -> Metric | None:
    """The declaration of a metric that can be made of scores alone."""
    if name.startswith(USER_PREFIX) and all(name in one.given for one in scored):
        return Metric(name=name, needs="given", better=direction(name), each=value_given(name))
    return declared(name)


def read_example_scores(metric: str, scored: Sequence[Scored]) -> Array | None:
    """Each example's own score, shape ``[examples]``; ``None`` where it has none (BLEU, macro-F1)."""
    found = known_metric(metric, scored)
    if found is not None and found.needs == "loss" and (stats := sums_of(found, scored)) is not None:
        return np.asarray(stats.rows[:, 0] / np.maximum(stats.rows[:, 1], 1))
    return None if found is None or found.each is None else np.asarray(each_value(found, scored))


def difference_interval(
    first: Statistics, second: Statistics, *, seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of second less first: both are computed on the same resamples of the examples.

    This is the paired bootstrap (Efron and Tibshirani 1993, chapter 8; Koehn 2004 for translation).
    """
    width = first.rows.shape[1]
    both = np.concatenate([first.rows, second.rows], axis=1)
    together = Statistics(
        both, lambda sums: np.asarray(second.combine(sums[..., width:]) - first.combine(sums[..., :width]))
    )
    return bootstrap(together, seed=seed, resamples=RESAMPLES)


def _p_value(
    metric: str,
    first: Statistics,
    second: Statistics,
    singles: Sequence[Array | None],
    seed: int,
) -> tuple[float | None, Test]:
    if _is_proportion(metric) and singles[0] is not None and singles[1] is not None:
        gains = singles[1] - singles[0]
        return mcnemar(int((gains > 0).sum()), int((gains < 0).sum())), "McNemar"
    p_value = randomisation(first, second, seed=seed)
    return p_value, "randomisation" if p_value is not None else ""


def mcnemar(better: int, worse: int) -> float:
    """Exact two-sided p-value of McNemar's test (1947): a sign test over the pairs that differ.

    With b better, c worse and n = b + c, of which each is equally likely if nothing differs:
    ``min(1, 2 · Σ_{k ≤ min(b, c)} C(n, k) / 2ⁿ)``.
    """
    n, few = better + worse, min(better, worse)
    terms = accumulate(range(1, few + 1), lambda term, k: term * (n - k + 1) // k, initial=1)
    return min(1.0, _ratio(2 * sum(terms), n))


def _ratio(count: int, power: int) -> float:
    """``count / 2**power`` for whole numbers too large for a float."""
    spare = max(0, count.bit_length() - 64)
    return math.ldexp(float(count >> spare), spare - power)


def randomisation(
    first: Statistics, second: Statistics, *, seed: int = 0, shuffles: int = SHUFFLES
) -> float | None:
    """Two-sided p-value of the paired randomisation test (Noreen 1989; Yeh 2000, C00-2137).

    If nothing differs, the two answers to an example may change places. With T the difference of the
    metric and T* the same after each pair was swapped or not by a coin:
    ``p = (1 + #{|T*| ≥ |T|}) / (1 + shuffles)``. Pairs that are equal change nothing and are left out.

    Returns:
        ``None`` if a score is not finite, or the metric has no value.
    """
    if not (np.isfinite(first.rows).all() and np.isfinite(second.rows).all()):
        return None
    sums = first.rows.sum(axis=0), second.rows.sum(axis=0)
    seen = abs(float(second.combine(sums[1]) - first.combine(sums[0])))
    change = second.rows - first.rows
    change = change[(change != 0).any(axis=1)]
    if not math.isfinite(seen):
        return None
    if not len(change):
        return 1.0
    generator, extreme = np.random.default_rng(seed), 0
    block = max(1, min(shuffles, _NUMBERS_AT_ONCE // len(change)))
    for start in range(0, shuffles, block):
        size = min(block, shuffles - start)
        moved = generator.integers(0, 2, (size, len(change)), dtype=np.int8).astype(np.float64) @ change
        swapped = second.combine(sums[1] - moved) - first.combine(sums[0] + moved)
        extreme += int((np.abs(swapped) >= seen * (1 - 1e-9)).sum())
    return (1 + extreme) / (1 + shuffles)


def _is_proportion(metric: str) -> bool:
    found = declared(metric)
    return found is not None and found.proportion


def _gains(metric: str, first: Array, second: Array) -> Array:
    """Per example, by how much the second is better."""
    return second - first if direction(metric) == "max" else first - second


def _effect(gains: Array | None, *, proportion: bool) -> tuple[float | None, str]:
    """Cohen (1988): ``g = b/(b+c) − ½`` of the pairs that differ, or ``d_z = mean/sd`` of the gains."""
    if gains is None or not len(gains) or not np.isfinite(gains).all():
        return None, ""
    if proportion:
        better, worse = int((gains > 0).sum()), int((gains < 0).sum())
        return (better / (better + worse) - 0.5, "g") if better + worse else (0.0, "g")
    spread = float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    return (float(gains.mean()) / spread, "d_z") if spread > 0 else (None, "")


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values for several comparisons at once (Holm 1979): no more than the stated error in all of them.

    The k-th smallest of m becomes ``max over i ≤ k of min(1, (m − i + 1) · p_i)``.
    """
    ordered = sorted(p_values.items(), key=lambda pair: pair[1])
    count, adjusted, highest = len(ordered), {}, 0.0
    for index, (name, value) in enumerate(ordered):
        highest = max(highest, min(1.0, (count - index) * value))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
