"""When things are due and how large the learning rate is. Pure: numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.judge.budget import spent
from tunesmith.judge.measurement import Progress, Verdict
from tunesmith.recipe.schema.quantities import Every
from tunesmith.recipe.schema.stop import StopRule
from tunesmith.recipe.schema.tune import Optimizer


def learning_rate(step: int, total_steps: int | None, optimizer: Optimizer) -> float:
    """Learning rate of one optimiser step.

    Linear warm-up, then ``constant``, ``linear`` or ``cosine`` decay (Loshchilov & Hutter 2017,
    arXiv 1608.03983, equation 5, one cycle) to ``final_learning_rate`` times the peak.

    Args:
        step: from 0; the first step already learns.
        total_steps: length of the schedule; steps beyond it stay at its end. ``None`` if only time bounds
            the run; then nothing can decay.
        optimizer: peak, schedule and warm-up.
    """
    warmup = warmup_steps(total_steps, optimizer.warmup)
    if step < warmup:
        return optimizer.learning_rate * (step + 1) / warmup
    if optimizer.schedule == "constant" or total_steps is None:
        return optimizer.learning_rate
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    left = 1 - progress if optimizer.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    floor = optimizer.final_learning_rate
    return optimizer.learning_rate * (floor + (1 - floor) * left)


def warmup_steps(total_steps: int | None, warmup: float) -> int:
    """Steps of warm-up: a share of all steps below 1, a number of steps from 1 on.

    A share of nobody knows how many steps is none: a run that only time bounds has a warm-up if the recipe
    names its steps.
    """
    return round(warmup) if warmup >= 1 else math.ceil((total_steps or 0) * warmup)


def closing_verdict(
    progress: Progress, total_steps: int | None, rules: Sequence[StopRule], *, asked_to_end: bool = False
) -> Verdict | None:
    """Why a run ends after this step whatever is measured; ``None`` if it does not.

    Args:
        progress: after the step.
        total_steps: length of the schedule.
        rules: of the recipe, among them its budgets.
        asked_to_end: whether somebody asked for it from outside.
    """
    if progress.step == total_steps or spent(progress, rules) is not None:
        return Verdict(decision="stop", rule="budget", reason=f"all {progress.step} steps are done")
    if asked_to_end:
        reason = f"`tunesmith stop` asked for the end at step {progress.step}"
        return Verdict(decision="stop", rule="request", reason=reason)
    return None


def due(every: Every, before: Progress, now: Progress) -> bool:
    """Whether a multiple of ``every`` was passed between two moments."""
    position = {"steps": (before.step, now.step), "epochs": (before.epoch, now.epoch)}
    start, end = position.get(every.unit, (before.tokens, now.tokens))
    return math.floor(end / every.count + 1e-9) > math.floor(start / every.count + 1e-9)
