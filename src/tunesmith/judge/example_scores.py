"""What each example gave, for any metric that is a function of sums over examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.judge.scores import Array, Scores, scores_of
from tunesmith.metrics.statistics import Statistics, ratio_statistics, statistics


def example_scores(
    metric: str,
    step: int,
    *,
    losses: Sequence[float],
    counts: Sequence[int],
    correct: Sequence[int],
    predictions: Sequence[Any],
    references: Sequence[Any],
) -> Scores | None:
    """Scores of one metric; arguments as in ``metrics.compute.from_sums`` and ``compute``.

    Losses and token accuracy are ratios of sums as they stand, and so are means over examples. Every other
    metric (macro-F1, Pearson's r, BLEU, perplexity) gives its pseudo-values.

    Returns:
        ``None`` where no statistics are known (chrF, metrics of the hub).
    """
    weights = [float(count) for count in counts]
    if metric == "loss":
        return scores_of(step, losses, weights)
    if metric == "token_accuracy":
        return scores_of(step, [float(hits) for hits in correct], weights)
    if metric == "perplexity":
        ratio = ratio_statistics(losses, weights)
        return scores_of(
            step, list(pseudo_values(Statistics(ratio.rows, lambda s: np.exp(ratio.combine(s)))))
        )
    found = statistics(metric, predictions, references)
    return None if found is None else scores_of(step, list(pseudo_values(found)))


def pseudo_values(stats: Statistics) -> Array:
    """The jackknife's pseudo-values, shape ``[examples]``: ``n v - (n - 1) v_without_i``.

    Their mean is the metric (less its bias of order 1/n) and their spread gives its error, so that a
    metric of sums can be treated as a mean over examples (Tukey 1958; Efron and Tibshirani 1993, chapter
    11). For a mean they are the values themselves.
    """
    examples, whole = len(stats.rows), stats.rows.sum(axis=0)
    if examples < 2:
        return np.full(examples, np.nan)
    without = stats.combine(whole - stats.rows)
    values: Array = examples * stats.combine(whole[None, :])[0] - (examples - 1) * without
    return values
