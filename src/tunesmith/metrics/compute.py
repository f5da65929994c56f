"""Predictions and references in, one number out."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from tunesmith.errors import UserError
from tunesmith.metrics.hub import hub_compute
from tunesmith.metrics.match import as_label, total
from tunesmith.metrics.table import METRICS, MetricSpec, is_hub_metric


def metric_spec(name: str) -> MetricSpec:
    """The table's entry.

    Raises:
        UserError: if there is no such metric.
    """
    if name not in METRICS:
        raise UserError(
            f"unknown metric `{name}`", hint=f"choose one of {', '.join(METRICS)}, or `hub:NAME@COMMIT`"
        )
    return METRICS[name]


def load_metrics(names: Sequence[str]) -> None:
    """Import what computing these metrics takes, as part of loading and not of the first evaluation."""
    if any(not is_hub_metric(name) and metric_spec(name).kind not in ("sums", "given") for name in names):
        import tunesmith.metrics.modules  # noqa: F401


def compute(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Value of a metric over predictions.

    Every call works in memory and in a temporary folder of its own, so that processes do not meet
    and nothing stays behind.

    Args:
        name: a metric of the table that needs predictions, or ``hub:NAME@COMMIT`` (see ``hub.py``).
        predictions: texts, labels or numbers.
        references: the same, in the same order.

    Returns:
        The value; not a number if there is no example, or if the metric has no value for these
        (Pearson's r of constants).

    Raises:
        UserError: if the metric is unknown, or a hub metric fails.
    """
    assert len(predictions) == len(references), (
        f"{len(predictions)} predictions, {len(references)} references"
    )
    spec = None if is_hub_metric(name) else metric_spec(name)
    assert spec is None or spec.needs_predictions, f"{name} is made of sums: use from_sums"
    if not len(references):
        return math.nan
    if spec is not None and spec.kind == "given":
        return _given(name, predictions, references)
    with tempfile.TemporaryDirectory(prefix="tunesmith-metric-") as folder:
        if spec is None:
            return hub_compute(name, predictions, references, folder)
        from tunesmith.metrics.modules import MODULES

        module = MODULES[name](keep_in_memory=True, cache_dir=folder, experiment_id=f"{os.getpid()}", seed=0)
        ours, theirs = _as_values(spec, predictions), _as_values(spec, references)
        return float(module.compute(predictions=ours, references=theirs)[name])


def _given(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> float:
    if name == "ece":
        from tunesmith.metrics.calibration import expected_calibration_error, gaps

        return float(expected_calibration_error(gaps(predictions, references).sum(axis=0)))
    return total([float(one) for one in predictions]) / len(references)


def per_example(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> list[float] | None:
    """Value of each example, whose mean is the metric; ``None`` if the metric is not a mean of such."""
    function = METRICS[name].per_example if name in METRICS else None
    if function is None:
        return None
    return [function(ours, theirs) for ours, theirs in zip(predictions, references, strict=True)]


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
    assert name == "perplexity", f"{name} is not made of sums"
    return math.exp(loss) if loss < 709 else loss * math.inf


def confusion_matrix(
    labels: Sequence[object], predictions: Sequence[object], references: Sequence[object]
) -> list[list[int]]:
    """How often each label (row: the truth) was taken for each label (column: the prediction).

    Raises:
        UserError: if a prediction or a reference is none of ``labels``.
    """
    index = {as_label(label): position for position, label in enumerate(labels)}
    counts = [[0] * len(index) for _ in index]
    for prediction, reference in zip(predictions, references, strict=True):
        for value in (prediction, reference):
            if as_label(value) not in index:
                known = ", ".join(index)
                raise UserError(f"label `{value}` is none of the known ones", hint=f"known labels: {known}")
        counts[index[as_label(reference)]][index[as_label(prediction)]] += 1
    return counts


def _as_values(spec: MetricSpec, values: Sequence[Any]) -> list[Any]:
    if spec.kind == "number":
        return [float(value) for value in values]
    if spec.kind == "label":
        return [as_label(value) for value in values]
    return [_storable(str(value)) for value in values]


def _storable(text: str) -> str:
    """``text`` with lone surrogates, which no UTF-8 column can hold, written out as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
