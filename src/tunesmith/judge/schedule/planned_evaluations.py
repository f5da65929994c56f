"""How many evaluations a run plans, and which rules wait for more than that and so can never speak. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunesmith.judge.measurement import History, Measurement, Progress
from tunesmith.judge.rules.plateau import FEWEST
from tunesmith.judge.schedule.eval_schedule import next_eval_step
from tunesmith.recipe.schema.quantities import Every
from tunesmith.recipe.schema.stop import StopRule, paths

_LENGTHS = (10, 100, 1_000, 10_000, 100_000)
"""Lengths of runs that stand for all, where a run's own is not known."""
_COSTLY = 1e9


@dataclass(frozen=True, slots=True)
class PlannedEvaluations:
    """Evaluations of a run, the baseline and the one at its end among them.

    Attributes:
        least: so many at least.
        most: so many at most; more than ``least`` where the judge plans them by what they cost.
    """

    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a run is at most, as far as it is known.

    Attributes:
        steps: optimiser steps; ``None``: not known.
        epoch_steps: of one epoch.
        step_tokens: tokens of a step.
        warmup: steps of it.
    """

    steps: int | None = None
    epoch_steps: float | None = None
    step_tokens: float | None = None
    warmup: int = 0


def planned_evaluations(every: Every, length: Length, *, baseline: bool = True) -> PlannedEvaluations | None:
    """How many evaluations are planned; ``None`` if that cannot be known."""
    fewer = 0 if baseline else 1
    if every.auto:
        lengths = _LENGTHS if length.steps is None else (length.steps,)
        counts = [_count(steps, cost, length.warmup) for steps in lengths for cost in (0.0, _COSTLY)]
        return PlannedEvaluations(min(counts) - fewer, max(counts) - fewer)
    apart = {"steps": 1.0, "epochs": length.epoch_steps}.get(
        every.unit, 1 / length.step_tokens if length.step_tokens else None
    )
    if length.steps is None or apart is None:
        return None
    between = math.ceil(length.steps / (every.count * apart) - 1e-9) - 1
    return PlannedEvaluations(*2 * (max(between, 0) + 2 - fewer,))


def _count(total: int, cost: float, warmup: int) -> int:
    """Looks of a run whose steps take a second, and whose evaluations cost so many."""
    history: History = ()
    at, count = 0, 1
    while at < total:
        progress = Progress(step=at, epoch=0.0, tokens=0, seconds=float(at))
        history = (Measurement(progress=progress, metrics={}, examples=0, seconds=cost),)
        at, count = next_eval_step(history, total, warmup=warmup), count + 1
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A rule that waits for more evaluations than are planned.

    Attributes:
        path: where its setting stands in the recipe.
        needs: evaluations, the baseline among them.
        looks: that are planned.
        surely: whether even the most that may be planned are too few.
    """

    path: tuple[str | int, ...]
    needs: int
    looks: PlannedEvaluations
    surely: bool

    @property
    def words(self) -> str:
        """One sentence."""
        place = ".".join(str(part) for part in self.path)
        never = "can never speak" if self.surely else "may never speak"
        return (
            f"`{place}` {never}: it waits for {self.needs} evaluations, and {self.looks} are planned; "
            "evaluate more often, or make it smaller"
        )


def silent_rules(rules: Sequence[StopRule], looks: PlannedEvaluations) -> list[Silent]:
    """Settings of rules that wait for more evaluations than are planned at least."""
    return [
        Silent(path=path, needs=needs, looks=looks, surely=needs > looks.most)
        for at, rule in paths(rules)
        for path, needs in _needs(rule, at)
        if needs > looks.least
    ]


def _needs(rule: StopRule, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
    if rule.confirm is not None:
        yield (*at, "confirm"), rule.confirm
    if rule.overfitting is not None:
        yield (*at, "overfitting", "looks"), rule.overfitting.looks + 1
    if rule.forecast is not None:  # at the end of the budget there is nothing left to foresee
        yield (*at, "forecast", "after"), rule.forecast.after + 1
    if rule.plateau is None:
        return
    patience = rule.plateau.patience
    if patience.unit == "evaluations":
        yield (*at, "plateau", "patience"), int(patience.count) + 1
    elif patience.unit == "percent":
        yield (*at, "plateau", "patience"), FEWEST + 1
