"""Stop rules that cannot do what their author means, against the metrics that will be measured.

The recipe's own check knows the metrics of its task by name; this one knows what the run measures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from tunesmith.judge.statistics.distributions import spend
from tunesmith.metrics.names import WORST, bare_metric, slice_of, split_name
from tunesmith.metrics.table import declared, direction
from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.stop import Plateau, StopRule, paths
from tunesmith.suggest import did_you_mean

Path = tuple[str | int, ...]


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
    return [problem for path, rule in paths(rules) for problem in _check(path, rule, available_metrics)]


def check_evidence(
    rules: Sequence[StopRule], examples: int, apart: Mapping[str, int] = MappingProxyType({})
) -> list[Problem]:
    """Targets that so few evaluation examples can never make sure of.

    Even if every one of ``examples`` is right, the chance of that at a true share of ``wanted`` is
    ``wanted ** examples``; it must be at most the first look's share of ``1 - sure``.

    Args:
        rules: the recipe's ``stop``.
        examples: of the evaluation set.
        apart: of what is measured apart: each further set, and each slice, ``[column=value]``.
    """
    return [
        Problem(
            (*path, "target", metric),
            f"{rows:,} evaluation examples can never make sure of `{metric}: {wanted:g}`",
            f"hold out {math.ceil(math.log(spend(1 - rule.sure, 1)) / math.log(wanted)):,} or more, "
            "lower the target or `sure`, or use `confirm: 3` instead",
        )
        for path, rule in paths(rules)
        for metric, wanted in (rule.target or {}).items()
        if (rows := {"": examples, **apart}.get(split_name(metric).where)) is not None
        and rule.sure is not None
        and (spec := declared(bare_metric(metric))) is not None
        and spec.proportion
        and 0 < wanted < 1
        and wanted**rows > spend(1 - rule.sure, 1)
    ]


def _check(path: Path, rule: StopRule, available: Sequence[str]) -> Iterator[Problem]:
    for metric, wanted in (rule.target or {}).items():
        yield from _check_target((*path, "target", metric), metric, wanted, available)
    if rule.target is not None and not rule.target:
        yield Problem((*path, "target"), "a target without a metric", "name one: `loss: 0.5`")
    if rule.plateau is not None:
        yield from _check_plateau((*path, "plateau"), rule.plateau, available)
    if rule.divergence is not None and "loss" not in available:
        yield from _unmeasured((*path, "divergence"), "loss", available)
    for kind in ("overfitting", "forecast", "guard"):
        section = getattr(rule, kind)
        if section is not None:
            yield from _unmeasured((*path, kind, "metric"), section.metric, available)
    held = rule.overfitting.unless_gaining if rule.overfitting is not None else None
    if held is not None:
        yield from _unmeasured((*path, "overfitting", "unless_gaining"), held, available)
    if rule.forecast is not None and rule.forecast.target is not None:
        at = (*path, "forecast", "target")
        yield from _out_of_range(at, rule.forecast.metric, rule.forecast.target)


def _unmeasured(path: Path, metric: str, available_metrics: Sequence[str]) -> Iterator[Problem]:
    if metric in available_metrics:
        return
    part = slice_of(metric)
    if part is not None:
        apart = [name for name in available_metrics if (one := slice_of(name)) and one[:2] == part[:2]]
        shown = ", ".join(f"`{name}`" for name in apart[:6]) or f"no `{part.metric}` by `{part.column}`"
        hint = f"measured apart: {shown}; values of a column in too few rows are not, see `eval.slices`"
    elif split_name(metric).where == WORST and split_name(metric).metric in available_metrics:
        hint = "all rows of each slice have one label or target, over which it means nothing; name another"
    elif declared(metric) is not None:
        hint = (
            f"add it to `eval.metrics` if the task can give it; measured here: {', '.join(available_metrics)}"
        )
    else:
        hint = did_you_mean(metric, available_metrics, "metrics measured here")
    yield Problem(path, f"a stop rule waits for `{metric}`, which this run does not measure", hint)


def _check_target(
    path: Path, metric: str, wanted: float, available_metrics: Sequence[str]
) -> Iterator[Problem]:
    yield from _unmeasured(path, metric, available_metrics)
    yield from _out_of_range(path, metric, wanted)


def _out_of_range(path: Path, metric: str, wanted: float) -> Iterator[Problem]:
    spec = declared(bare_metric(metric))
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


def _check_plateau(path: Path, rule: Plateau, available_metrics: Sequence[str]) -> Iterator[Problem]:
    yield from _unmeasured((*path, "metric"), rule.metric, available_metrics)
    spec = declared(bare_metric(rule.metric))
    if spec is not None and rule.min_gain > spec.high - spec.low:
        yield Problem(
            (*path, "min_gain"),
            f"no gain in `{rule.metric}` can be {rule.min_gain:g}, so every run would end as a plateau",
            f"it lies between {spec.low:g} and {spec.high:g}: write e.g. `min_gain: {rule.min_gain / 100:g}`",
        )
