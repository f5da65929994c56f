"""How far a measured value can be trusted: 95 % intervals over the evaluation examples.

They speak of the choice of examples alone: another draw of as many examples from the same source.
Examples are drawn whole, so that the tokens of one example stay together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.compute import each_value, find_metric
from tunesmith.metrics.metric import ScoredRow
from tunesmith.metrics.statistics import Recomputed, Statistics, ratio_statistics, sums_of

Interval = tuple[float, float]
Clusters = Sequence[int] | NDArray[np.int64]
RESAMPLES = 1000
CONFIDENCE = 0.95
_NUMBERS_AT_ONCE = 500_000  # one block of resamples stays near the processor: some 12 MB


def wilson_interval(successes: float, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a proportion (Wilson 1927, JASA 22:209-212).

    With p = successes/trials, n = trials and z the normal quantile:
    ``(p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``.
    Unlike ``p ± z·sqrt(p(1-p)/n)`` it stays within 0 and 1 and has width at p = 0 and p = 1.

    Raises:
        ValueError: if there is no trial, or more successes than trials.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials are not a proportion")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, spread = successes / trials, z * z / trials
    middle = (p + spread / 2) / (1 + spread)
    half = math.sqrt(z * z * p * (1 - p) / trials + spread * spread / 4) / (1 + spread)
    return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def bootstrap_interval(
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    clusters: Clusters | None = None,
) -> Interval | None:
    """Percentile bootstrap (Efron 1979) of ``sum(values) / sum(weights)`` over examples.

    Args:
        values: per example; with weights, totals such as the loss summed over its tokens.
        weights: per example, what the total is a total of; default 1 each, which makes a mean.
        seed: same seed, same interval.
        resamples: how many data sets of the same size are drawn, with replacement.
        confidence: share of them between the two ends.
        clusters: number of each example's cluster; clusters are then drawn whole.

    Returns:
        Low and high end; ``None`` for fewer than two examples or non-finite values.
    """
    counts = [1.0] * len(values) if weights is None else weights
    stats = ratio_statistics(values, counts)
    return bootstrap(stats, seed=seed, resamples=resamples, confidence=confidence, clusters=clusters)


def bootstrap(
    stats: Statistics,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    clusters: Clusters | None = None,
) -> Interval | None:
    """Percentile bootstrap of any function of sums; see ``bootstrap_interval``.

    Resamples for which the metric has no value (a correlation of constants) are left out. Examples that
    belong together (turns of one conversation, questions on one text) are drawn together, or not at all:
    else the interval is too narrow (Field and Welsh 2007, JRSS B 69:369-390).
    """
    rows = stats.rows if clusters is None else within_clusters(stats.rows, clusters)
    if len(rows) < 2 or not np.isfinite(rows).all():
        return None
    values = stats.combine(_resampled_sums(rows, np.random.default_rng(seed), resamples))
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def within_clusters(rows: NDArray[np.float64], clusters: Clusters) -> NDArray[np.float64]:
    """Sums of rows over the members of each cluster, shape ``[clusters, k]``."""
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return np.stack([np.bincount(codes, column) for column in rows.T], axis=1)


def _resampled_sums(
    rows: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Sums of rows over ``resamples`` draws, shape ``[resamples, k]``; one matrix product a block."""
    examples = len(rows)
    block = max(1, min(resamples, _NUMBERS_AT_ONCE // examples))
    sums = []
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(0, examples, (size, examples)) + np.arange(size)[:, None] * examples
        times = np.bincount(drawn.ravel(), minlength=size * examples).reshape(size, examples)
        sums.append(times.astype(np.float64) @ rows)
    return np.concatenate(sums)


def metric_interval(
    name: str, rows: Sequence[ScoredRow], *, seed: int = 0, clusters: Clusters | None = None
) -> Interval | None:
    """95 % interval of a metric over scored examples.

    Wilson's for proportions (exact match, accuracy) over examples that stand alone; where examples have their
    shares in the metric (ROC AUC) one on the scale of log-odds; else the bootstrap. ``None`` where there is
    no value, or fewer than two examples or clusters.
    """
    if len(rows) < 2:
        return None
    metric = find_metric(name)
    if metric.proportion and metric.each is not None and clusters is None:
        hits = each_value(metric, rows)
        if not all(map(math.isfinite, hits)):
            return None
        return wilson_interval(sum(hits), len(hits))
    if metric.influence is not None:
        rarest = min(Counter(str(row.reference) for row in rows).values())
        return _log_odds_interval(metric.influence(rows), clusters, rarest)
    stats = sums_of(metric, rows)
    if stats is None:
        return recomputed_interval(Recomputed(metric, rows), seed=seed, clusters=clusters)
    interval = bootstrap(stats, seed=seed, clusters=clusters)
    if interval is None or metric.link is None:
        return interval
    low, high = metric.link(np.asarray(interval))  # it keeps percentiles
    return float(low), float(high)


def recomputed_interval(
    found: Recomputed, *, seed: int = 0, resamples: int = RESAMPLES, clusters: Clusters | None = None
) -> Interval | None:
    """Percentile bootstrap of a metric that is computed again on each resample; see ``bootstrap``.

    ``None`` if it has no value on half of the resamples.
    """
    codes = np.arange(len(found.rows)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    if len(members) < 2:
        return None
    generator, values = np.random.default_rng(seed), []
    for _ in range(found.resamples(resamples)):
        drawn = generator.integers(0, len(members), len(members))
        values.append(found.value(np.concatenate([members[place] for place in drawn])))
    known = np.asarray(values)[np.isfinite(values)]
    if 2 * len(known) < len(values):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _log_odds_interval(
    shares: NDArray[np.float64] | None, clusters: Clusters | None, rarest: int
) -> Interval | None:
    """Of a value v between 0 and 1 that is the mean of examples' shares, whose spread gives its error e.

    ``logit(v) ± z e / (v (1 - v))``, taken back: it stays between 0 and 1, and is not symmetric near them
    (Pepe 2003, section 5.2.1). With clusters the shares are summed within each. At 0 and 1, where no share
    differs, it is Wilson's interval over as many examples as the rarest class has.
    """
    if shares is None:
        return None
    value, rest = float(shares.mean()), (shares - shares.mean()) / len(shares)
    if clusters is not None:
        rest = within_clusters(rest[:, None], clusters)[:, 0]
    if len(rest) < 2:
        return None
    error = math.sqrt(len(rest) / (len(rest) - 1) * float(rest @ rest))
    if not 0 < value < 1:
        units = min(len(rest), rarest)
        return wilson_interval(units if value > 0.5 else 0, units)
    middle = math.log(value / (1 - value))
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, middle + way * half)))) for way in (-1, 1))
    return low, high
