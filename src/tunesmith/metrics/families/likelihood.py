"""How likely the right tokens are: of losses and counts, which come with every evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tunesmith.metrics.metric import Metric, ScoredRow, ratio, total

if TYPE_CHECKING:
    from tunesmith.metrics.metric import Array

LARGEST_EXPONENT = 709
"""A perplexity beyond its exponential is too large for a float."""


def from_sums(name: str, losses: Sequence[float], counts: Sequence[int], correct: Sequence[int]) -> float:
    """Value of ``loss``, ``perplexity`` or ``token_accuracy``: totals first, one division at the end.

    Args:
        name: which of the three.
        losses: per example, summed over its supervised tokens (natural logarithm).
        counts: per example, its supervised tokens.
        correct: per example, how many of them were the model's first choice.

    Returns:
        The ratio of the totals; not a number if nothing is supervised, infinite if a perplexity
        is too large for a float.
    """
    count = sum(counts)
    if not count:
        return math.nan
    if name == "token_accuracy":
        return sum(correct) / count
    loss = total(losses) / count
    if name == "loss":
        return loss
    return math.exp(loss) if loss < LARGEST_EXPONENT else loss * math.inf


def _value(name: str, rows: Sequence[ScoredRow]) -> float:
    losses = [row.loss for row in rows]
    return from_sums(name, losses, [row.count for row in rows], [row.correct for row in rows])


def _per_token(number: Callable[[ScoredRow], float], rows: Sequence[ScoredRow]) -> Array:
    import numpy as np

    totals, counts = [number(row) for row in rows], [row.count for row in rows]
    return np.stack([np.asarray(totals, np.float64), np.asarray(counts, np.float64)], axis=-1)


def _exp(values: Array) -> Array:
    import numpy as np

    return np.asarray(np.exp(np.minimum(values, 700.0)))


_LOSSES = partial(_per_token, lambda row: row.loss)

METRICS = (
    Metric(
        name="loss",
        needs="loss",
        better="min",
        high=math.inf,
        meaning="mean loss per supervised token or sample",
        statistics=_LOSSES,
        combine=ratio,
        whole=partial(_value, "loss"),
    ),
    Metric(
        name="perplexity",
        needs="loss",
        better="min",
        low=1.0,
        high=math.inf,
        meaning="exp(loss)",
        statistics=_LOSSES,
        combine=ratio,
        link=_exp,
        whole=partial(_value, "perplexity"),
    ),
    Metric(
        name="token_accuracy",
        needs="loss",
        meaning="share of supervised tokens that are the first choice",
        statistics=partial(_per_token, lambda row: row.correct),
        combine=ratio,
        whole=partial(_value, "token_accuracy"),
    ),
)
