"""Rules across keys for what is measured, when a run stops, and the schedule that leads there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunesmith.recipe.finding import any_of, nearest, shorten
from tunesmith.recipe.metric_names import GENERATION, TASK_METRICS, is_from_hub, limits
from tunesmith.recipe.problem import Problem
from tunesmith.recipe.schema import Budget, Generate, Recipe, StopRule

Path = tuple[str | int, ...]
_KINDS = ("target", "plateau", "divergence", "budget")


def check_goal(recipe: Recipe) -> Iterator[Problem]:
    """Yield what cannot work in ``eval``, ``stop`` and the schedule."""
    yield from _eval(recipe)
    if not recipe.stop:
        hint = "add `- budget: {epochs: 3}`, or leave `stop` out for just that"
        yield Problem(("stop",), "`stop` is empty", hint, "key")
    for index, rule in enumerate(recipe.stop):
        yield from _rule(rule, ("stop", index), recipe.task)
    yield from _budgets(recipe)
    yield from _schedule(recipe)


def _eval(recipe: Recipe) -> Iterator[Problem]:
    names = recipe.eval.metrics
    for index, name in enumerate(names):
        yield from _metric(name, ("eval", "metrics", index), recipe.task)
        if name in names[:index]:
            yield Problem(
                ("eval", "metrics", index), f"metric `{shorten(name)}` stands twice", "take one away"
            )
    if recipe.task != "causal-lm" and recipe.eval.generate != Generate():
        what = f"`eval.generate` is for task `causal-lm`; `{recipe.task}` generates nothing"
        yield Problem(("eval", "generate"), what, "take it away", "key")


def _metric(name: str, path: Path, task: str, at: Literal["key", "value"] = "value") -> Iterator[Problem]:
    given = TASK_METRICS[task]
    if name in given or is_from_hub(name):
        return
    if name in GENERATION:
        what = f"metric `{name}` compares generated text, which task `{task}` does not give"
    elif any(name in names for names in TASK_METRICS.values()):
        what = f"task `{task}` cannot give metric `{name}`"
    else:
        what = f"unknown metric `{shorten(name)}`"
    near = nearest(name, given)
    guess = f"did you mean `{near}`? This task gives" if near else "this task gives"
    yield Problem(path, what, f"{guess} {any_of(given, 'and')}", at)


def _rule(rule: StopRule, path: Path, task: str) -> Iterator[Problem]:
    given = [kind for kind in _KINDS if getattr(rule, kind) is not None]
    if len(given) != 1:
        has = any_of(given, "and") if given else "none"
        what = f"a stop rule has exactly one of {any_of(_KINDS, 'and')}; this one has {has}"
        yield Problem(path, what, "begin each rule with its own `-`", "key")
    if rule.target is not None:
        yield from _target(rule.target, (*path, "target"), task)
    if rule.plateau is not None:
        at = (*path, "plateau", "metric")
        yield from _metric(rule.plateau.metric, at, task)
        low, high = limits(rule.plateau.metric)
        if rule.plateau.min_gain >= high - low:
            what = f"no gain of `{rule.plateau.metric}` can reach `min_gain` {rule.plateau.min_gain:g}"
            yield Problem(
                (*path, "plateau", "min_gain"),
                what,
                f"it lies between {low:g} and {high:g}; write e.g. 0.001",
            )
    if rule.budget is not None and not rule.budget.model_dump(exclude_none=True):
        hint = "name `steps`, `epochs`, `tokens` or `time`"
        yield Problem((*path, "budget"), "a budget without a limit", hint, "key")


def _target(target: dict[str, float], path: Path, task: str) -> Iterator[Problem]:
    if not target:
        yield Problem(path, "a target without a metric", "write e.g. `target: {loss: 0.5}`", "key")
    for name, wanted in target.items():
        at = (*path, name)
        unknown = list(_metric(name, at, task, "key"))
        yield from unknown
        low, high = limits(name)
        if unknown or low <= wanted <= high:
            continue
        percent = 1 < wanted <= 100 and high == 1
        hint = (
            f"fractions of 1: write {wanted / 100:g}"
            if percent
            else f"choose a value from {low:g} to {high:g}"
        )
        hint = hint.replace(" to inf", " up")
        what = f"target `{name}: {wanted:g}` can never be reached" if wanted > high or name in _SMALL else ""
        yield Problem(at, what or f"target `{name}: {wanted:g}` is reached by every model", hint)


_SMALL = ("loss", "perplexity", "mse")
"""Metrics of which less is better: below their range nothing can get."""


def _budgets(recipe: Recipe) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, rule in enumerate(recipe.stop):
        limits_here = rule.budget.model_dump(exclude_none=True) if rule.budget is not None else {}
        for unit in limits_here:
            if unit in seen:
                what = f"a budget of `{unit}` stands twice; the first is rule {seen[unit] + 1}"
                yield Problem(("stop", index, "budget", unit), what, "keep one", "key")
            seen.setdefault(unit, index)


def _schedule(recipe: Recipe) -> Iterator[Problem]:
    """A schedule must know where it ends; without any budget the default one of three epochs holds."""
    optimizer = recipe.optimizer
    budgets = [one for one in (rule.budget for rule in recipe.stop) if one is not None and one != Budget()]
    countable = [one for one in budgets if one.steps or one.epochs or one.tokens]
    if budgets and not countable and optimizer.schedule != "constant":
        what = (
            f"schedule `{optimizer.schedule}` must know how many steps there are, and time alone does not say"
        )
        hint = "add `steps`, `epochs` or `tokens` to the budget, or write `schedule: constant`"
        yield Problem(("optimizer", "schedule"), what, hint)
    constant = optimizer.schedule == "constant"
    if constant and optimizer.final_learning_rate > 0:
        what = "`optimizer.final_learning_rate` means nothing with `schedule: constant`"
        yield Problem(("optimizer", "final_learning_rate"), what, "take it away", "key")
    if optimizer.warmup >= 1 and not optimizer.warmup.is_integer():
        what = f"`optimizer.warmup` must be a share below 1 or whole steps; got {optimizer.warmup:g}"
        yield Problem(("optimizer", "warmup"), what, f"write {optimizer.warmup:.0f}")
    for beta in optimizer.betas:
        if not 0 <= beta < 1:
            what = f"`optimizer.betas` must be from 0 to below 1; got {beta:g}"
            yield Problem(("optimizer", "betas"), what, "the usual ones: [0.9, 0.999]", "key")
