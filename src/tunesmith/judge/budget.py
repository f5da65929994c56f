"""What may be spent, whether it is spent, and how many steps that makes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.errors import UserError
from tunesmith.judge.measurement import Progress, Verdict
from tunesmith.recipe.schema import Budget, StopRule

DEFAULT_BUDGET = Budget(epochs=3)
"""Holds where no stop rule is a budget, so that every run ends."""


def budgets(rules: Sequence[StopRule]) -> tuple[Budget, ...]:
    """The budgets of the recipe, or the default of 3 epochs if it has none.

    A budget of time alone is the user's choice: no epochs are added to it.
    """
    named = tuple(rule.budget for rule in rules if rule.budget is not None and _limits(rule.budget))
    return named or (DEFAULT_BUDGET,)


def _limits(budget: Budget) -> dict[str, float]:
    limits = {"steps": budget.steps, "epochs": budget.epochs, "tokens": budget.tokens, "time": budget.time}
    return {unit: float(limit) for unit, limit in limits.items() if limit is not None}


def spent(progress: Progress, rules: Sequence[StopRule]) -> Verdict | None:
    """A stop verdict if any limit of any budget is reached, else ``None``.

    Formula: ``step >= steps or epoch >= epochs or tokens >= tokens or seconds >= time``; epochs
    within one part in 10⁹, since a sum of fractions may end just below a whole number.
    """
    so_far = {
        "steps": float(progress.step),
        "epochs": progress.epoch * (1 + 1e-9),
        "tokens": float(progress.tokens),
        "time": progress.seconds,
    }
    for budget in budgets(rules):
        for unit, limit in _limits(budget).items():
            if so_far[unit] >= limit:
                reason = f"the budget of {_amount(unit, limit)} is spent at step {progress.step}"
                return Verdict(decision="stop", rule="budget", reason=reason)
    return None


def step_limit(
    rules: Sequence[StopRule], *, examples: int, batch_size: int, mean_tokens: float
) -> int | None:
    """The smallest number of optimiser steps at which a budget of steps, epochs or tokens is spent.

    Formula: ``min(steps, ceil(epochs * examples / batch_size), ceil(tokens / (batch_size * mean_tokens)))``
    over all budgets.

    Args:
        rules: the recipe's stop rules.
        examples: training examples in one epoch.
        batch_size: examples in one optimiser step, over all processes.
        mean_tokens: mean tokens of an example, as ``Progress.tokens`` counts them.

    Returns:
        At least 1; ``None`` if time alone bounds the run.
    """
    assert examples > 0, f"{examples} training examples"
    assert batch_size > 0, f"a batch of {batch_size}"
    assert mean_tokens > 0, f"{mean_tokens} tokens an example"
    per_unit = {"steps": 1.0, "epochs": examples / batch_size, "tokens": 1 / (batch_size * mean_tokens)}
    steps = [
        max(1, math.ceil(limit * per_unit[unit] * (1 - 1e-9)))
        for budget in budgets(rules)
        for unit, limit in _limits(budget).items()
        if unit in per_unit
    ]
    return min(steps, default=None)


def total_steps(rules: Sequence[StopRule], *, examples: int, batch_size: int, mean_tokens: float) -> int:
    """``step_limit`` for those who need one: a schedule that decays must know where it ends.

    Raises:
        UserError: if time alone bounds the run.
    """
    limit = step_limit(rules, examples=examples, batch_size=batch_size, mean_tokens=mean_tokens)
    if limit is None:
        raise UserError(
            "`stop` bounds the run by time alone, so its number of steps is not known and "
            "`optimizer.schedule` cannot decay",
            hint="add `steps`, `epochs` or `tokens` to the budget, or set `optimizer.schedule: constant`",
        )
    return limit


def _amount(unit: str, limit: float) -> str:
    if unit == "time":
        return duration(limit)
    count = f"{int(limit):,}" if limit == int(limit) else f"{limit:g}"
    return f"{count} {unit[:-1] if limit == 1 else unit}"


def duration(seconds: float) -> str:
    """Seconds as people write them in a recipe: ``45s``, ``2m 18s``, ``1h 30m``."""
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if minutes else f"{hours}h"
