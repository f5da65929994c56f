"""Stop rules that cannot mean what their author means, as far as the recipe alone tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tunesmith.metrics.names import bare_metric
from tunesmith.recipe.check.metric import Path, check_rule_metric
from tunesmith.recipe.check.metric_names import metric_limits
from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.quantities import Every, parse_every
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.stop import Budget, Forecast, Overfitting, StopRule, binding
from tunesmith.suggest import any_of

_KINDS = ("target", "plateau", "divergence", "budget", "overfitting", "forecast", "guard", "any", "all")
_SMALL = ("loss", "perplexity", "mse")
"""Metrics of which less is better: below their range nothing can get."""


def check_stop(recipe: Recipe) -> Iterator[Problem]:
    """Yield what cannot work in ``stop``, rules that can never fire among it."""
    yield from _rules(recipe.stop, ("stop",), recipe)
    yield from _twice(recipe)


def _rules(rules: Sequence[StopRule], path: Path, recipe: Recipe) -> Iterator[Problem]:
    for index, rule in enumerate(rules):
        yield from _rule(rule, (*path, index), recipe)
        yield from _rules(rule.any or (), (*path, index, "any"), recipe)
        yield from _rules(rule.all or (), (*path, index, "all"), recipe)


def _rule(rule: StopRule, path: Path, recipe: Recipe) -> Iterator[Problem]:
    given = [kind for kind in _KINDS if getattr(rule, kind) is not None]
    if len(given) != 1:
        has = any_of(given, "and") if given else "none"
        what = f"a stop rule has exactly one of {any_of(_KINDS, 'and')}; this one has {has}"
        yield Problem(path, what, "begin each rule with its own `-`", "key")
    for name in ("sure", "confirm") if rule.target is None else ():
        if getattr(rule, name) is not None:
            what = f"`{name}` beside a rule belongs to a `target`"
            yield Problem((*path, name), what, "write it inside the rule, or take it away", "key")
    for name in ("any", "all"):
        if getattr(rule, name) is not None and len(getattr(rule, name)) < 2:
            what = f"`{name}` joins at least two rules"
            yield Problem((*path, name), what, "write a single rule without it", "key")
    if rule.target is not None:
        yield from _target(rule.target, (*path, "target"), recipe)
    for kind in ("plateau", "overfitting", "forecast", "guard"):
        section = getattr(rule, kind)
        if section is not None:
            yield from check_rule_metric(section.metric, (*path, kind, "metric"), recipe)
    yield from _sections(rule, path, recipe)
    for every, number, place in _evaluations(rule, path):
        yield from _never(every, number, place, recipe)


def _sections(rule: StopRule, path: Path, recipe: Recipe) -> Iterator[Problem]:
    if rule.plateau is not None:
        yield from _too_large(rule.plateau.min_gain, rule.plateau.metric, (*path, "plateau", "min_gain"))
    if rule.guard is not None:
        yield from _too_large(rule.guard.max_drop, rule.guard.metric, (*path, "guard", "max_drop"))
    if rule.overfitting is not None:
        yield from _overfitting(rule.overfitting, (*path, "overfitting"), recipe)
    if rule.forecast is not None:
        yield from _forecast(rule.forecast, (*path, "forecast"))
    if rule.budget is not None:
        yield from _budget(rule.budget, (*path, "budget"))


def _too_large(amount: float, metric: str, path: Path) -> Iterator[Problem]:
    low, high = metric_limits(metric)
    if amount < high - low:
        return
    which = "gain" if path[-1] == "min_gain" else "drop"
    what = f"no {which} of `{metric}` can reach `{path[-1]}` {amount:g}"
    yield Problem(path, what, f"it lies between {low:g} and {high:g}; write e.g. 0.001")


def _target(target: dict[str, float], path: Path, recipe: Recipe) -> Iterator[Problem]:
    if not target:
        yield Problem(path, "a target without a metric", "write e.g. `target: {loss: 0.5}`", "key")
    for name, wanted in target.items():
        at = (*path, name)
        unknown = list(check_rule_metric(name, at, recipe, "key"))
        yield from unknown
        low, high = metric_limits(name)
        if unknown or low <= wanted <= high:
            continue
        hint = _range_hint(wanted, low, high)
        what = (
            f"target `{name}: {wanted:g}` can never be reached"
            if wanted > high or bare_metric(name) in _SMALL
            else ""
        )
        yield Problem(at, what or f"target `{name}: {wanted:g}` is reached by every model", hint)


def _range_hint(wanted: float, low: float, high: float) -> str:
    """From where to where; a number that reads like percent is divided by a hundred, 1.2 is not one."""
    if high == 1 and 10 <= wanted <= 100:
        return f"fractions of 1: write {wanted / 100:g}"
    return f"choose a value from {low:g} " + ("up" if high == math.inf else f"to {high:g}")


def _overfitting(rule: Overfitting, path: Path, recipe: Recipe) -> Iterator[Problem]:
    held = rule.unless_gaining
    if held is None:
        return
    yield from check_rule_metric(held, (*path, "unless_gaining"), recipe)
    if held == rule.metric:
        what = f"`unless_gaining: {held}` names the metric that the rule itself looks at"
        yield Problem((*path, "unless_gaining"), what, "name another metric, or take it away")


def _forecast(rule: Forecast, path: Path) -> Iterator[Problem]:
    if rule.target is None and rule.min_gain is None and rule.worth is None:
        hint = "add `min_gain: 0.005`, `target: 0.9`, or `worth` and `price`"
        yield Problem(path, "a forecast without a question", hint, "key")
    for name, other in (("worth", "price"), ("price", "worth")):
        if getattr(rule, name) is not None and getattr(rule, other) is None:
            yield Problem((*path, name), f"`{name}` needs `{other}`", f"add `{other}`", "key")
    low, high = metric_limits(rule.metric)
    if rule.target is not None and not low <= rule.target <= high:
        what = f"`{rule.metric}` never is {rule.target:g}"
        yield Problem((*path, "target"), what, _range_hint(rule.target, low, high))


def _budget(budget: Budget, path: Path) -> Iterator[Problem]:
    given = budget.model_dump(exclude_none=True)
    if not given.keys() - {"price", "power"}:
        hint = "name `steps`, `epochs`, `tokens`, `time`, `energy` or `money`"
        yield Problem(path, "a budget without a limit", hint, "key")
    for name, needs in (("money", "price"), ("price", "money"), ("power", "energy")):
        if name in given and needs not in given:
            yield Problem((*path, name), f"`{name}` needs `{needs}`", f"add `{needs}`", "key")


def _evaluations(rule: StopRule, path: Path) -> Iterator[tuple[Every | None, float, Path]]:
    """How long each part of a rule needs before it can fire: so many evaluations, or so much of a unit."""
    if rule.confirm is not None:
        yield None, rule.confirm - 1, (*path, "confirm")
    if rule.overfitting is not None:
        yield None, rule.overfitting.looks, (*path, "overfitting", "looks")
    if rule.forecast is not None:
        yield None, rule.forecast.after - 1, (*path, "forecast", "after")
    patience = rule.plateau.patience if rule.plateau is not None else None
    place = (*path, "plateau", "patience")
    if patience is not None and patience.unit == "evaluations":
        yield None, patience.count, place
    elif patience is not None and patience.unit not in ("percent", "bits"):
        yield Every.model_validate(parse_every(patience.plain())), 1, place


def _never(every: Every | None, number: float, path: Path, recipe: Recipe) -> Iterator[Problem]:
    """A rule that needs longer than the run can be; only said where both count in the same unit."""
    one = every or recipe.eval.every
    needed = one.count * number
    bounds = [rule.budget for rule in binding(recipe.stop) if rule.budget is not None]
    limits_here = [limit for budget in bounds if (limit := getattr(budget, one.unit, None)) is not None]
    if one.auto or not limits_here or needed <= min(limits_here) * (1 + 1e-9):
        return
    what = f"this can never fire: it needs {needed:g} {one.unit}, and the budget ends at {min(limits_here):g}"
    yield Problem(path, what, "make it smaller, evaluate more often, or take the rule away")


def _twice(recipe: Recipe) -> Iterator[Problem]:
    """The same unit bounded twice, at the outermost level."""
    seen: dict[str, int] = {}
    for index, rule in enumerate(recipe.stop):
        limits_here = rule.budget.model_dump(exclude_none=True) if rule.budget is not None else {}
        for unit in limits_here.keys() - {"price", "power"}:
            if unit in seen:
                what = f"a budget of `{unit}` stands twice; the first is rule {seen[unit] + 1}"
                yield Problem(("stop", index, "budget", unit), what, "keep one", "key")
            seen.setdefault(unit, index)
