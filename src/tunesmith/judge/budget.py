"""What may be spent, whether it is spent, and how many steps that makes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.errors import UserError
from tunesmith.judge.measurement import Progress, Verdict
from tunesmith.numbers import duration
from tunesmith.recipe.schema.stop import Budget, StopRule, binding

DEFAULT_BUDGET = Budget(epochs=3)
"""Holds where no stop rule is a budget, so that every run ends."""


def budgets(rules: Sequence[StopRule]) -> tuple[Budget, ...]:
    """The budgets that bound the run, or the default of 3 epochs if there is none.

    A budget of time alone is the user's choice: no epochs are added to it. One inside an ``all`` bounds
    nothing: others must agree.
    """
    named = tuple(rule.budget for rule in binding(rules) if rule.budget is not None and _limits(rule.budget))
    return named or (DEFAULT_BUDGET,)


def _limits(budget: Budget) -> dict[str, float]:
    limits = {
        unit: getattr(budget, unit) for unit in ("steps", "epochs", "tokens", "time", "energy", "money")
    }
    return {unit: float(limit) for unit, limit in limits.items() if limit is not None}


def _so_far(progress: Progress, budget: Budget) -> dict[str, float | None]:
    """What is spent, in each unit; ``None`` where nothing tells.

    ``energy``: the meter's joules, else ``power`` times device-seconds. ``money``: device-hours times
    ``price``. Epochs within one part in 10⁹, since a sum of fractions may end just below a whole number.
    """
    seconds = progress.seconds if progress.device_seconds is None else progress.device_seconds
    energy = progress.joules
    if energy is None and budget.power is not None:
        energy = budget.power * seconds
    return {
        "steps": float(progress.step),
        "epochs": progress.epoch * (1 + 1e-9),
        "tokens": float(progress.tokens),
        "time": progress.seconds,
        "energy": energy,
        "money": None if budget.price is None else budget.price * seconds / 3600,
    }


def spent(progress: Progress, rules: Sequence[StopRule]) -> Verdict | None:
    """A stop verdict if any limit of any budget that bounds the run is reached, else ``None``."""
    for budget in budgets(rules):
        verdict = spent_of(progress, budget)
        if verdict is not None and verdict.stop:
            return verdict
    return None


def spent_of(progress: Progress, budget: Budget) -> Verdict | None:
    """The same for one budget: stop, *unknown* where a limit's unit is not measured, or ``None``.

    Formula: ``so far >= limit`` for any of steps, epochs, tokens, seconds, joules or money.
    """
    so_far, unmeasured = _so_far(progress, budget), None
    for unit, limit in _limits(budget).items():
        value = so_far[unit]
        if value is None:
            reason = f"{unit} is not measured at step {progress.step}, so this rule cannot judge"
            unmeasured = Verdict(decision="unknown", rule="budget", reason=reason)
        elif value >= limit:
            reason = f"the budget of {_amount(unit, limit)} is spent at step {progress.step}"
            return Verdict(decision="stop", rule="budget", reason=reason)
    return unmeasured


def share_spent(progress: Progress, rules: Sequence[StopRule]) -> float:
    """How much of the budget is spent, from 0 to 1: of the limit that is nearest to its end."""
    shares = [
        (_so_far(progress, budget)[unit] or 0.0) / limit
        for budget in budgets(rules)
        for unit, limit in _limits(budget).items()
    ]
    return min(1.0, max(shares, default=0.0))


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
        At least 1; ``None`` if none of these bounds the run.
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
            "`stop` bounds the run by time alone, energy or money, so its number of steps is not known and "
            "`optimizer.schedule` cannot decay",
            hint="add `steps`, `epochs` or `tokens` to the budget, or set `optimizer.schedule: constant`",
        )
    return limit


def _amount(unit: str, limit: float) -> str:
    if unit == "time":
        return duration(limit)
    if unit == "energy":
        return f"{limit / 3.6e6:.4g} kWh" if limit >= 3.6e5 else f"{limit:.4g} J"
    if unit == "money":
        return f"{limit:.2f} in money"
    count = f"{int(limit):,}" if limit == int(limit) else f"{limit:g}"
    return f"{count} {unit[:-1] if limit == 1 else unit}"
