"""Scored examples in, one number out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tunesmith.errors import UserError
from tunesmith.metrics.hub import hub_metric
from tunesmith.metrics.match import as_label
from tunesmith.metrics.metric import Metric, ScoredRow, answered, total
from tunesmith.metrics.names import USER_PREFIX
from tunesmith.metrics.table import METRICS, declared, is_hub_metric
from tunesmith.metrics.user import user_metric


def find_metric(name: str) -> Metric:
    """The declaration of a metric by its bare name: one of the table, of a class, of the hub, a user's own.

    Raises:
        UserError: if there is no such metric.
    """
    if is_hub_metric(name):
        return hub_metric(name)
    if name.startswith(USER_PREFIX):
        return user_metric(name)
    found = declared(name)
    if found is None:
        raise UserError(
            f"unknown metric `{name}`", hint=f"choose one of {', '.join(METRICS)}, or `hub:NAME@COMMIT`"
        )
    return found


def load_metrics(names: Sequence[str]) -> None:
    """Import what computing these metrics takes, as part of loading and not of the first evaluation."""
    for name in names:
        needs = find_metric(name).needs
        if is_hub_metric(name):
            import evaluate  # noqa: F401
        elif needs == "text":
            import sacrebleu  # noqa: F401


def predicts(metrics: Sequence[str]) -> bool:
    """Whether any of the metrics needs predictions: generation, for language models."""
    return any(find_metric(name).needs_predictions for name in metrics)


def metric_value(name: str, rows: Sequence[ScoredRow]) -> float:
    """Value of a metric over scored examples.

    Args:
        name: a metric of the table, of one class (``f1[spam]``), ``hub:NAME@COMMIT`` (see
            ``hub.py``) or ``python:MODULE:NAME`` (see ``user.py``).
        rows: the examples.

    Returns:
        The value; not a number if there is no example, or if the metric has no value for these
        (Pearson's r of constants).

    Raises:
        UserError: if the metric is unknown, or one of the hub or of the user fails.
    """
    metric = find_metric(name)
    if not rows:
        return math.nan
    if metric.whole is not None:
        return float(metric.whole(rows))
    if metric.each is not None:
        return total(each_value(metric, rows)) / len(rows)
    assert metric.statistics is not None
    assert metric.combine is not None
    stats = metric.statistics(rows)
    assert stats is not None, f"{name} has too many statistics and no other way"
    return float(metric.combine(stats.sum(axis=0)))


def compute(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Value of a metric over predictions and references in one order; see ``metric_value``."""
    return metric_value(name, answered(predictions, references))


def each_value(metric: Metric, rows: Sequence[ScoredRow]) -> list[float]:
    """Value of each example, of a metric that is their mean."""
    assert metric.each is not None
    return [float(metric.each(row)) for row in rows]


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
