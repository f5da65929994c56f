"""Stop rules that cannot do what their author means, against the metrics that will be measured.

The recipe's own check knows the metrics of its task by name; this one knows what the run measures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tunesmith.judge.best import direction
from tunesmith.metrics.table import METRICS
from tunesmith.recipe.problem import Problem
from tunesmith.recipe.schema import Plateau, StopRule
from tunesmith.sources.nearest import did_you_mean


def check_rules(rules: Sequence[StopRule], available_metrics: Sequence[str]) -> list[Problem]:
    """All problems that can be known from the rules alone.

    A rule whose metric is not measured, a target outside the metric's range (``accuracy: 85``), a
    target that every model meets, a gain larger than the range.

    Args:
        rules: the recipe's ``stop``.
        available_metrics: names of everything that will be measured, ``loss`` among it.

    Returns:
        Each with its path in the recipe, e.g. ``("stop", 0, "target", "accuracy")``.
    """
    problems: list[Problem] = []
    for index, rule in enumerate(rules):
        path = ("stop", index)
        for metric, wanted in (rule.target or {}).items():
            problems += _check_target((*path, "target", metric), metric, wanted, available_metrics)
        if rule.target is not None and not rule.target:
            problems.append(Problem((*path, "target"), "a target without a metric", "name one: `loss: 0.5`"))
        if rule.plateau is not None:
            problems += _check_plateau((*path, "plateau"), rule.plateau, available_metrics)
        if rule.divergence is not None and "loss" not in available_metrics:
            problems += _unmeasured((*path, "divergence"), "loss", available_metrics)
    return problems


def _unmeasured(
    path: tuple[str | int, ...], metric: str, available_metrics: Sequence[str]
) -> Iterator[Problem]:
    if metric in available_metrics:
        return
    if metric in METRICS:
        hint = (
            f"add it to `eval.metrics` if the task can give it; measured here: {', '.join(available_metrics)}"
        )
    else:
        hint = did_you_mean(metric, available_metrics, "metrics measured here")
    yield Problem(path, f"a stop rule waits for `{metric}`, which this run does not measure", hint)


def _check_target(
    path: tuple[str | int, ...], metric: str, wanted: float, available_metrics: Sequence[str]
) -> Iterator[Problem]:
    yield from _unmeasured(path, metric, available_metrics)
    spec = METRICS.get(metric)
    if spec is None:
        return
    side = "at least" if direction(metric) == "max" else "at most"
    span = f"`{metric}` lies between {spec.low:g} and {spec.high:g}"
    if math.isinf(spec.high):
        span = f"`{metric}` is never below {spec.low:g}"
    never = wanted > spec.high if direction(metric) == "max" else wanted < spec.low
    always = wanted <= spec.low if direction(metric) == "max" else wanted >= spec.high
    if never and spec.high == 1 and 1 < wanted <= 100:
        what = f"the target `{metric}: {wanted:g}` can never be reached: {span}"
        yield Problem(path, what, f"as a fraction it is `{metric}: {wanted / 100:g}`")
    elif never:
        yield Problem(path, f"the target `{metric}: {wanted:g}` can never be reached", span)
    elif always:
        what = f"the target `{metric}: {wanted:g}` is met by every model, since it asks for {side} that"
        yield Problem(path, what, f"{span}, and {'more' if side == 'at least' else 'less'} is better")


def _check_plateau(
    path: tuple[str | int, ...], rule: Plateau, available_metrics: Sequence[str]
) -> Iterator[Problem]:
    yield from _unmeasured((*path, "metric"), rule.metric, available_metrics)
    spec = METRICS.get(rule.metric)
    if spec is not None and rule.min_gain > spec.high - spec.low:
        yield Problem(
            (*path, "min_gain"),
            f"no gain in `{rule.metric}` can be {rule.min_gain:g}, so every run would end as a plateau",
            f"it lies between {spec.low:g} and {spec.high:g}: write e.g. `min_gain: {rule.min_gain / 100:g}`",
        )
