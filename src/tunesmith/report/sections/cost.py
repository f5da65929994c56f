"""What a run spent, and what running to the end of its budget would have cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith import numbers
from tunesmith.report.run_files import Record, RunFiles, binding_rules

UNITS = ("steps", "epochs", "tokens", "time", "energy", "money")
DEFAULT_EPOCHS = 3
"""As ``judge.budget.DEFAULT_BUDGET``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far a run is and how fast it went.

    Attributes:
        step: optimiser steps done.
        tokens: tokens processed.
        seconds: wall-clock time, evaluations included.
        fixed: seconds of it that passed before the first step, for the baseline.
        evaluating: seconds of it that went into evaluations.
        beside: seconds that evaluations took beside it, in another process.
    """

    step: int
    tokens: int
    seconds: float
    fixed: float
    evaluating: float
    beside: float = 0.0

    def at(self, step: float) -> tuple[float, float]:
        """Tokens and seconds at a step, if the run goes on at this pace."""
        share = step / max(self.step, 1)
        return self.tokens * share, self.fixed + (self.seconds - self.fixed) * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of the budget: its name, its value in words, and the step at which it ends the run."""

    name: str
    value: str
    step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One line of the bill, in words; ``share`` (0 to 100) is what was spent of running to the end."""

    name: str
    spent: str
    to_the_end: str
    saved: str
    share: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Spent, and saved against running to the end.

    Attributes:
        rows: steps, tokens, time.
        limit: what would have ended the run, in words.
        headline: the saving in one sentence.
        evaluating: what measuring cost, in words; empty if nothing was measured.
    """

    rows: tuple[Spent, ...]
    limit: str
    headline: str
    evaluating: str


def pace(run: RunFiles) -> Pace | None:
    """The pace of a run, ``None`` before its first step."""
    last = run.train[-1] if run.train else None
    if last is None or last["step"] < 1:
        return None
    waited = [record for record in run.evals if not record.get("beside")]
    evaluating, whole = (
        sum(_number(one.get("seconds")) for one in records) for records in (waited, run.evals)
    )
    fixed = sum(_number(record.get("seconds")) for record in waited if record["step"] == 0)
    ends = [_number(record.get("at")) + _number(record.get("seconds")) for record in waited]
    seconds = max([_number(last.get("seconds")), *ends])
    tokens = int(_number(last.get("tokens")))
    return Pace(
        step=last["step"],
        tokens=tokens,
        seconds=seconds,
        fixed=min(fixed, seconds),
        evaluating=evaluating,
        beside=whole - evaluating,
    )


def budget_limits(run: RunFiles, now: Pace) -> list[Limit]:
    """Every limit of the recipe's budgets, as the step at which it would end the run; the first one first.

    Where no budget bounds a run, it ends after ``DEFAULT_EPOCHS``. Energy counts only where the recipe says
    how many watts a device takes, money where it names a price.
    """
    named = [_mapping(rule.get("budget")) for rule in binding_rules(run.recipe)]
    budgets = [budget for budget in named if any(budget.get(unit) is not None for unit in UNITS)]
    default = [{"epochs": DEFAULT_EPOCHS}] if run.recipe else []
    known = [limit for budget in budgets or default for limit in _limits(budget, run, now)]
    return sorted(known, key=lambda limit: limit.step)


def expected_end(run: RunFiles, now: Pace) -> int | None:
    """The step at which the budget ends; ``None`` if none is known, or the run has gone on beyond it."""
    first = next(iter(budget_limits(run, now)), None)
    return round(first.step) if first and round(first.step) >= now.step else None


def _limits(budget: Record, run: RunFiles, now: Pace) -> list[Limit]:
    found = []
    for name in UNITS:
        value = _number(budget.get(name))
        step = _step_of(name, value, budget, run, now) if value > 0 else None
        if step is not None and math.isfinite(step):
            found.append(Limit(name=name, value=_amount(name, budget[name]), step=step))
    return found


def _amount(name: str, value: float) -> str:
    if name == "time":
        return numbers.duration(value)
    if name == "energy":
        return f"{value / 3.6e6:.4g} kWh" if value >= 3.6e5 else f"{value:.4g} J"
    if name == "money":
        return f"{value:.2f} in money"
    return f"{numbers.number(value)} {name}"


def _step_of(name: str, value: float, budget: Record, run: RunFiles, now: Pace) -> float | None:
    if name == "steps":
        return value
    if name == "epochs":
        return _steps_of_epochs(value, run)
    if name == "tokens":
        return value * now.step / now.tokens if now.tokens else None
    seconds = _seconds_of(name, value, budget, run)
    each = (now.seconds - now.fixed) / now.step
    return max(0.0, seconds - now.fixed) / each if seconds is not None and each > 0 else None


def _seconds_of(name: str, value: float, budget: Record, run: RunFiles) -> float | None:
    """Seconds in which a limit of time, energy (``J / (W · devices)``) or money is used up."""
    if name == "time":
        return value
    devices = _number((run.environment or {}).get("world_size")) or 1.0
    rate = _number(budget.get("power" if name == "energy" else "price")) * devices
    if rate <= 0:
        return None
    return value / rate if name == "energy" else 3600 * value / rate


def _steps_of_epochs(epochs: float, run: RunFiles) -> float | None:
    """From the last line's own count of epochs, else from the data report and the batch."""
    last = run.train[-1]
    done = _number(last.get("epoch"))
    if done > 0:
        return float(math.ceil(epochs * last["step"] / done - 1e-6))
    rows = _number(_mapping(run.data).get("train"))
    size = _number(_mapping(run.recipe.get("batch")).get("size"))
    return float(math.ceil(epochs * rows / size)) if rows > 0 and size > 0 else None


def bill(run: RunFiles) -> Bill | None:
    """What was spent and saved; ``None`` before the first step or where no budget is known."""
    now = pace(run)
    first = next(iter(budget_limits(run, now)), None) if now else None
    if now is None or first is None:
        return None
    end = max(first.step, float(now.step))
    tokens, seconds = now.at(end)
    rows = [
        _spent("steps", now.step, round(end), numbers.number),
        _spent("tokens", now.tokens, round(tokens), numbers.number) if now.tokens else None,
        _spent("time", now.seconds, seconds, numbers.duration),
    ]
    return Bill(
        rows=tuple(row for row in rows if row),
        limit=first.value,
        headline=_headline(now, end, seconds, ended=run.result is not None),
        evaluating=_evaluating(now),
    )


def _spent(name: str, spent: float, end: float, show: Any) -> Spent:
    saved = max(0, end - spent)
    share = round(100 * spent / end) if end else 100
    return Spent(
        name=name,
        spent=show(spent),
        to_the_end=show(end),
        saved=f"{show(saved)} ({numbers.percent(saved / end)})" if end and saved else numbers.ABSENT,
        share=min(100, share),
    )


def _headline(now: Pace, end: float, seconds: float, *, ended: bool) -> str:
    if now.step >= end * 0.995:
        return "The whole budget was spent; nothing was saved." if ended else "The budget is nearly spent."
    share = numbers.percent(round(1 - now.step / end, 2))
    left = numbers.duration(seconds - now.seconds)
    if ended:
        return f"Stopping early saved {share} of the steps and about {left}."
    return f"At most {share} of the steps are left, about {left}."


def _evaluating(now: Pace) -> str:
    if now.beside:
        return f"Measuring took {numbers.duration(now.beside)} beside training, in another process."
    if not now.evaluating or not now.seconds:
        return ""
    share = numbers.percent(min(1.0, now.evaluating / now.seconds))
    return f"{numbers.duration(now.evaluating)} of the time ({share}) went into measuring."


def _number(value: Any) -> float:
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else 0.0
    )


def _mapping(value: Any) -> Record:
    return value if isinstance(value, Mapping) else {}
