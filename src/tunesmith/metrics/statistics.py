"""Per-example statistics whose *sums* are enough to compute a metric.

Every metric here is a function of sums over examples. So one bootstrap serves them all: draw
examples, add up their statistics, combine. For a mean the statistics are the value and 1; for
Pearson's r they are the moments; for macro-F1 the counts of each label; for BLEU its n-gram counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.calibration import expected_calibration_error, gaps
from tunesmith.metrics.compute import per_example
from tunesmith.metrics.match import as_label

Array = NDArray[np.float64]
LARGEST = 20_000_000
"""Statistics of more than this many numbers are not made (macro-F1 with very many labels)."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sufficient statistics of a metric.

    Attributes:
        rows: per example, shape ``[examples, k]``.
        combine: sums of rows, shape ``[..., k]``, to values of the metric, shape ``[...]``.
    """

    rows: Array
    combine: Callable[[Array], Array]


def statistics(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> Statistics | None:
    """Statistics of a metric over predictions; ``None`` where none are known (chrF, the hub's metrics)."""
    values = per_example(name, predictions, references)
    if values is not None:
        return ratio_statistics(values, [1] * len(values))
    if name == "pearson":
        return _pearson(predictions, references)
    if name == "macro_f1":
        return _macro_f1(predictions, references)
    if name == "ece":
        return Statistics(gaps(predictions, references), expected_calibration_error)
    if name == "bleu":
        return _bleu(predictions, references)
    return None


def ratio_statistics(totals: Sequence[float], counts: Sequence[float]) -> Statistics:
    """A ratio of sums: a loss per token, or with counts of 1 a mean. Both of shape ``[examples]``."""
    rows = np.stack([np.asarray(totals, np.float64), np.asarray(counts, np.float64)], axis=-1)
    return Statistics(rows, _ratio)


def _ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def _pearson(predictions: Sequence[Any], references: Sequence[Any]) -> Statistics:
    x, y = np.asarray(predictions, np.float64), np.asarray(references, np.float64)
    x, y = x - x.mean(), y - y.mean()  # r does not change, and the moments keep their digits
    return Statistics(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1), _correlation)


def _correlation(sums: Array) -> Array:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (n * xy - x * y) / np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return np.asarray(np.clip(r, -1.0, 1.0))


def _macro_f1(predictions: Sequence[Any], references: Sequence[Any]) -> Statistics | None:
    ours, theirs = [as_label(value) for value in predictions], [as_label(value) for value in references]
    labels, codes = np.unique(np.asarray(ours + theirs), return_inverse=True)
    if 3 * len(labels) * len(ours) > LARGEST:
        return None
    hot = np.eye(len(labels))
    predicted, true = hot[codes[: len(ours)]], hot[codes[len(ours) :]]
    return Statistics(np.concatenate([predicted * true, predicted, true], axis=-1), _mean_of_f1)


def _mean_of_f1(sums: Array) -> Array:
    hits, predicted, true = np.split(sums, 3, axis=-1)
    seen = predicted + true
    f1 = np.divide(2 * hits, seen, out=np.zeros_like(seen), where=seen > 0)
    return np.asarray(f1.sum(axis=-1) / np.maximum((seen > 0).sum(axis=-1), 1))


def _bleu(predictions: Sequence[Any], references: Sequence[Any]) -> Statistics:
    from sacrebleu.metrics import BLEU

    bleu = BLEU(force=True)
    pairs = zip(predictions, references, strict=True)
    scores = [bleu.corpus_score([str(ours)], [[str(theirs)]]) for ours, theirs in pairs]
    rows = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
    return Statistics(np.asarray(rows, np.float64), partial(_bleu_of_counts, bleu.compute_bleu))


def _bleu_of_counts(compute_bleu: Callable[..., Any], sums: Array) -> Array:
    def value(row: Array) -> float:
        whole = [int(number) for number in np.rint(row)]
        return (
            float(compute_bleu(whole[0:4], whole[4:8], whole[8], whole[9], smooth_method="exp").score) / 100
        )

    return np.apply_along_axis(value, -1, sums)
