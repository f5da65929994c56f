"""The closed table of metrics: what each means, which way is better, and its range.

Names are the field's, in lower case; values are fractions of 1 where others print percentages.
Nothing heavy is imported here, because recipes are checked against this table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from tunesmith.metrics.match import exact_match, label_match, rouge_l, squared_error, token_f1
from tunesmith.metrics.names import HUB_PREFIXES, bare_metric

Kind = Literal["text", "label", "number", "sums", "given"]
Direction = Literal["max", "min"]
PerExample = Callable[[Any, Any], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """What is known of a metric before anything is measured.

    Attributes:
        name: as written in recipes and logs.
        kind: what it compares; ``sums`` are made of the losses and counts of an evaluation pass, and
            ``given`` ones of what else it knows of each example.
        direction: ``max`` if more is better.
        low: smallest value it can have.
        high: largest value it can have.
        per_example: value of one prediction against one reference, where the metric is the mean of
            those; ``None`` where it is not (BLEU, macro-F1, Pearson's r).
        proportion: whether each example gives 0 or 1, so that a Wilson interval applies.
        equality: whether an answer counts only if it is the reference, blanks aside: then one that
            cannot become it need not be told to its end.
        meaning: one line for people.
    """

    name: str
    kind: Kind
    direction: Direction = "max"
    low: float = 0.0
    high: float = 1.0
    per_example: PerExample | None = None
    proportion: bool = False
    equality: bool = False
    meaning: str = ""

    @property
    def needs_predictions(self) -> bool:
        """Whether the model must predict (for language models: generate); sums come with the loss."""
        return self.kind != "sums"


def as_given(value: float, _: object) -> float:
    """The example's own value."""
    return float(value)


_SPECS = (
    MetricSpec(
        name="loss",
        kind="sums",
        direction="min",
        high=math.inf,
        meaning="mean loss per supervised token or sample",
    ),
    MetricSpec(name="perplexity", kind="sums", direction="min", low=1.0, high=math.inf, meaning="exp(loss)"),
    MetricSpec(
        name="token_accuracy", kind="sums", meaning="share of supervised tokens that are the first choice"
    ),
    MetricSpec(
        name="exact_match",
        kind="text",
        per_example=exact_match,
        proportion=True,
        equality=True,
        meaning="share of answers equal to the reference, blanks aside",
    ),
    MetricSpec(name="f1", kind="text", per_example=token_f1, meaning="mean overlap of words, as in SQuAD"),
    MetricSpec(
        name="rouge_l",
        kind="text",
        per_example=rouge_l,
        meaning="mean F-measure of the longest common subsequence",
    ),
    MetricSpec(name="bleu", kind="text", meaning="corpus BLEU of sacrebleu, divided by 100"),
    MetricSpec(name="chrf", kind="text", meaning="corpus chrF2 of sacrebleu, divided by 100"),
    MetricSpec(
        name="accuracy",
        kind="label",
        per_example=label_match,
        proportion=True,
        meaning="share of right labels",
    ),
    MetricSpec(name="macro_f1", kind="label", meaning="F1 of each label, averaged over labels"),
    MetricSpec(
        name="mse",
        kind="number",
        direction="min",
        high=math.inf,
        per_example=squared_error,
        meaning="mean squared error",
    ),
    MetricSpec(
        name="pearson",
        kind="number",
        low=-1.0,
        meaning="Pearson's r; not a number if either side is constant",
    ),
    MetricSpec(
        name="ece",
        kind="given",
        direction="min",
        meaning="expected calibration error: how far confidence is from accuracy",
    ),
    MetricSpec(
        name="brier",
        kind="given",
        direction="min",
        high=2.0,
        per_example=as_given,
        meaning="squared distance of class probabilities from the truth",
    ),
    *(
        MetricSpec(name=name, kind="given", per_example=as_given, proportion=True, meaning=meaning)
        for name, meaning in (
            ("json_valid", "share of answers that are JSON and nothing else"),
            ("json_schema", "share of answers that are JSON and fit `eval.json_schema`"),
            ("regex", "share of answers that match `eval.regex` from end to end"),
            ("code", "share of answers that run and do what they should"),
        )
    ),
    MetricSpec(
        name="judge",
        kind="given",
        per_example=as_given,
        meaning="mean score by the model of `eval.judge`, as a share of its scale",
    ),
)

METRICS = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Name to ``MetricSpec``, in the order in which they are listed to people."""

_ERROR_RATES = ("brier_score", "cer", "charcut_mt", "mae", "mape", "mase", "rmse", "smape", "ter", "wer")
_SMALLER_IS_BETTER = frozenset(
    (*_ERROR_RATES, "word_perplexity", "byte_perplexity", "bits_per_byte", "loss", "mse", "perplexity")
)


def is_hub_metric(name: str) -> bool:
    """Whether ``name`` asks for a metric of the hub, such as ``hub:wer@…``."""
    return name.startswith(HUB_PREFIXES)


def metric_direction(name: str) -> Direction:
    """Whether more or less of ``name`` is better.

    Metrics outside the table count as ``max``, but for the hub's error rates known by name
    (``hub:wer``, ``hub:mae`` …). What one is measured on (``general/loss``) does not matter.
    """
    name = bare_metric(name)
    spec = METRICS.get(name)
    if spec is not None:
        return spec.direction
    bare = name.rpartition(":")[2].rpartition("/")[2].partition("@")[0]
    return "min" if bare in _SMALLER_IS_BETTER else "max"


def better_word(metric: str) -> str:
    """``or more`` or ``or less``: which side of a target is good."""
    return "or more" if direction(metric) == "max" else "or less"


def direction(metric: str) -> Direction:
    """``max`` if more of this metric is better, else ``min``; ``max`` for metrics nobody knows."""
    return metric_direction(metric)


def at_least_as_good(metric: str, value: float, wanted: float) -> bool:
    """Whether ``value`` reaches ``wanted``; never true if either is not a number."""
    return value >= wanted if direction(metric) == "max" else value <= wanted


def gain(metric: str, value: float, reference: float) -> float:
    """By how much ``value`` is better than ``reference``; negative if it is worse."""
    return value - reference if direction(metric) == "max" else reference - value
