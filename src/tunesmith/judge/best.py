"""Which measurement is the best, and by which metric: that one's weights are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.judge.measurement import History, Measurement
from tunesmith.metrics.table import Direction, metric_direction
from tunesmith.recipe.schema import StopRule


def direction(metric: str) -> Direction:
    """``max`` if more of this metric is better, else ``min``; ``max`` for metrics nobody knows."""
    return metric_direction(metric)


def at_least_as_good(metric: str, value: float, wanted: float) -> bool:
    """Whether ``value`` reaches ``wanted``; never true if either is not a number."""
    return value >= wanted if direction(metric) == "max" else value <= wanted


def gain(metric: str, value: float, reference: float) -> float:
    """By how much ``value`` is better than ``reference``; negative if it is worse."""
    return value - reference if direction(metric) == "max" else reference - value


def known(measurement: Measurement, metric: str) -> float | None:
    """The metric's value there, or ``None`` if it is missing or not finite."""
    value = measurement.metrics.get(metric)
    return value if value is not None and math.isfinite(value) else None


def primary_metric(rules: Sequence[StopRule]) -> str:
    """The metric that decides which weights are kept.

    The first target's first metric, else the first plateau's, else ``loss``.
    """
    for rule in rules:
        if rule.target:
            return next(iter(rule.target))
    for rule in rules:
        if rule.plateau is not None:
            return rule.plateau.metric
    return "loss"


def meets_target(measurement: Measurement, target: dict[str, float]) -> bool:
    """Whether every metric named is known there and reaches its value."""
    values = {metric: known(measurement, metric) for metric in target}
    return all(
        value is not None and at_least_as_good(metric, value, target[metric])
        for metric, value in values.items()
    )


def best_index(history: History, rules: Sequence[StopRule]) -> int:
    """Index of the measurement whose weights are kept.

    A measurement that meets a whole target beats one that does not (this matters only for a target
    of several metrics); among equals the better value of ``primary_metric`` wins, then the earlier.
    One whose metric or loss is not finite never wins, unless there is no other: then it is 0.

    Raises:
        ValueError: if nothing has been measured.
    """
    if not history:
        raise ValueError("nothing has been measured, so nothing is best")
    metric = primary_metric(rules)
    targets = [rule.target for rule in rules if rule.target]
    best: tuple[bool, float] | None = None
    index = 0
    for position, measurement in enumerate(history):
        value = known(measurement, metric)
        if value is None or not math.isfinite(measurement.metrics.get("loss", 0.0)):
            continue
        rank = any(meets_target(measurement, target) for target in targets), gain(metric, value, 0.0)
        if best is None or rank > best:
            best, index = rank, position
    return index
