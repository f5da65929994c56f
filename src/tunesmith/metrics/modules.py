"""Every metric over predictions as an ``evaluate.Metric``, made here so that no network is needed.

They can be used alone: ``ExactMatch(keep_in_memory=True).compute(predictions=..., references=...)``.
This module imports ``evaluate``; ``compute.py`` imports it when a metric is first computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import datasets
import evaluate
import numpy as np

from tunesmith.metrics.match import total
from tunesmith.metrics.table import METRICS


class _OwnMetric(evaluate.Metric):
    """What all share: a column of predictions and one of references, of one type."""

    metric = ""
    value_type = "string"

    def _info(self) -> evaluate.MetricInfo:
        value = datasets.Value(self.value_type)
        return evaluate.MetricInfo(
            description=METRICS[self.metric].meaning,
            citation="",
            inputs_description="predictions and references: two lists of one length, in one order.",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions: Sequence[object], references: Sequence[object]) -> dict[str, float]:
        return {self.metric: self.value(list(predictions), list(references))}

    def value(self, predictions: list[object], references: list[object]) -> float:
        """Mean over examples, for metrics that are one."""
        per_example = METRICS[self.metric].per_example
        assert per_example is not None, f"{self.metric} is not a mean over examples"
        return total(list(map(per_example, predictions, references))) / len(references)


class ExactMatch(_OwnMetric):
    """Share of predictions equal to their reference after blanks are collapsed."""

    metric = "exact_match"


class TokenF1(_OwnMetric):
    """Mean token F1, as in SQuAD."""

    metric = "f1"


class RougeL(_OwnMetric):
    """Mean ROUGE-L F-measure, by rouge-score."""

    metric = "rouge_l"


class Bleu(_OwnMetric):
    """Corpus BLEU by sacrebleu with its defaults (13a tokens, exponential smoothing), divided by 100.

    It is 0 where no text has four words, since it counts 4-grams.
    """

    metric = "bleu"

    def value(self, predictions: list[object], references: list[object]) -> float:
        """Corpus score; every prediction has one reference."""
        from sacrebleu.metrics import BLEU

        return float(BLEU(force=True).corpus_score(predictions, [references]).score) / 100


class Chrf(_OwnMetric):
    """Corpus chrF2 by sacrebleu with its defaults (characters 1 to 6, no words), divided by 100."""

    metric = "chrf"

    def value(self, predictions: list[object], references: list[object]) -> float:
        """Corpus score; every prediction has one reference."""
        from sacrebleu.metrics import CHRF

        return float(CHRF().corpus_score(predictions, [references]).score) / 100


class Accuracy(_OwnMetric):
    """Share of right labels."""

    metric = "accuracy"


class MacroF1(_OwnMetric):
    """Mean of the F1 of every label that stands in predictions or references; by scikit-learn.

    A label that is never predicted, or never right, counts as 0.
    """

    metric = "macro_f1"

    def value(self, predictions: list[object], references: list[object]) -> float:
        """Unweighted mean over labels."""
        from sklearn.metrics import f1_score

        return float(f1_score(references, predictions, average="macro", zero_division=0.0))


class MeanSquaredError(_OwnMetric):
    """Mean squared error, in the target's unit squared."""

    metric = "mse"
    value_type = "float64"


class Pearson(_OwnMetric):
    """Pearson's r: covariance divided by the two standard deviations.

    Not a number if predictions or references are constant (or fewer than two), because nothing
    varies there that could go together.
    """

    metric = "pearson"
    value_type = "float64"

    def value(self, predictions: list[object], references: list[object]) -> float:
        """Computed from centred values, so that a large mean costs no digits."""
        x, y = np.asarray(predictions, dtype=np.float64), np.asarray(references, dtype=np.float64)
        if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
            return math.nan
        x, y = x - x.mean(), y - y.mean()
        x, y = x / np.abs(x).max(), y / np.abs(y).max()  # tiny spreads would underflow when squared
        return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


_CLASSES = (ExactMatch, TokenF1, RougeL, Bleu, Chrf, Accuracy, MacroF1, MeanSquaredError, Pearson)

MODULES: Mapping[str, type[_OwnMetric]] = MappingProxyType({cls.metric: cls for cls in _CLASSES})
"""Name to class; every metric of the table that needs predictions is here."""
