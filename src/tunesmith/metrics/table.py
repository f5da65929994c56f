"""All declared metrics by name, and which way is better.

Names are the field's, in lower case; values are fractions of 1 where others print percentages.
Nothing heavy is imported here, because recipes are checked against this table.
"""

from __future__ import annotations

from types import MappingProxyType

from tunesmith.metrics.families import (
    calibration,
    classes,
    graded,
    likelihood,
    numeric,
    ranking,
    search,
    tags,
    text,
)
from tunesmith.metrics.metric import Direction, Metric
from tunesmith.metrics.names import HUB_PREFIXES, bare_metric, class_part, user_part

METRICS = MappingProxyType(
    {
        metric.name: metric
        for family in (likelihood, text, classes, ranking, numeric, tags, search, calibration, graded)
        for metric in family.METRICS
    }
)
"""Name to ``Metric``, in the order in which they are listed to people; ``f1[CLASS]`` stands for any class."""

_ERROR_RATES = ("brier_score", "cer", "charcut_mt", "mae", "mape", "mase", "rmse", "smape", "ter", "wer")
_SMALLER_IS_BETTER = frozenset(
    (*_ERROR_RATES, "word_perplexity", "byte_perplexity", "bits_per_byte", "loss", "mse", "perplexity")
)
_SMALLER_IN_OWN = frozenset((*_SMALLER_IS_BETTER, "cost", "error", "min", "regret", "risk"))


def is_hub_metric(name: str) -> bool:
    """Whether ``name`` asks for a metric of the hub, such as ``hub:wer@…``."""
    return name.startswith(HUB_PREFIXES)


def declared(name: str) -> Metric | None:
    """The declaration of a metric by its bare name, ``f1[spam]`` among them; ``None`` if there is none."""
    part = class_part(name)
    if part is None:
        return METRICS.get(name)
    family = METRICS.get(f"{part[0]}[CLASS]")
    return family.of_class(part[1]) if family is not None and family.of_class is not None else None


def metric_direction(name: str) -> Direction:
    """Whether more or less of ``name`` is better.

    Metrics outside the table count as ``max``, but for error rates known by name (``hub:wer``, ``hub:mae``).
    A user's own says it at its end, ``python:mine:regret:min``; without, ``cost``, ``error`` and the like are
    ``min``. What one is measured on (``general/loss``) does not matter.
    """
    name = bare_metric(name)
    metric = declared(name)
    if metric is not None:
        return metric.better
    own = user_part(name)
    if own is not None:
        return "min" if (own.better or own.attribute) in _SMALLER_IN_OWN else "max"
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
