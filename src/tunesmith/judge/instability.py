"""When the numbers of a step go wrong: what is a spike, and whether to skip, to go back or to stop. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, Literal

from tunesmith.recipe.schema.run import Safety

Action = Literal["go on", "skip", "back", "stop"]

FEWEST = 16
"""Losses without which nobody can tell what is usual."""
SMALLEST_SPREAD = 0.01
"""Of the median: losses that hardly move would make anything a spike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instability:
    """What is remembered of steps that went wrong, and of what is usual.

    Attributes:
        losses: of the newest steps that were learnt from, as many as the window holds.
        skipped: steps that were not learnt from, in a row.
        returns: steps of the checkpoints that the run went back to, since it last got past the trouble.
        at: step after which it last went back.
        factor: of the learning rate, for good.
    """

    losses: tuple[float, ...] = ()
    skipped: int = 0
    returns: tuple[int, ...] = ()
    at: int = 0
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What to do after a step, and why."""

    action: Action
    trouble: Instability
    reason: str = ""


def spike_bound(losses: Sequence[float], threshold: float) -> float:
    """The loss from which on a step is a spike: median + threshold x 1.4826 MAD of the newest losses.

    1.4826 times the median absolute deviation estimates a normal standard deviation, and half of the values
    may be wild without moving it (Hampel 1974, doi 10.1080/01621459.1974.10482962).

    Args:
        losses: of good steps; fewer than ``FEWEST`` tell nothing.
        threshold: in such deviations.

    Returns:
        Infinity if nothing can be told.
    """
    if len(losses) < FEWEST:
        return math.inf
    middle = median(losses)
    spread = 1.4826 * median(abs(loss - middle) for loss in losses)
    return middle + threshold * max(spread, SMALLEST_SPREAD * abs(middle))


def bound_of(trouble: Instability, safety: Safety) -> float:
    """The loss from which on the next step is a spike; infinity if the recipe does not care."""
    return math.inf if safety.spike == "ignore" else spike_bound(trouble.losses, safety.threshold)


def after_step(
    trouble: Instability, safety: Safety, *, step: int, loss: float, grad_norm: float, finite: bool
) -> StepOutcome:
    """What the recipe wants done after a step.

    Args:
        trouble: before the step.
        safety: the recipe's section.
        step: its number.
        loss: over all processes.
        grad_norm: likewise.
        finite: whether loss and gradient were, or were made to fit by a loss scale.
    """
    bound = bound_of(trouble, safety)
    if finite and loss <= bound:
        past = trouble.returns and step > trouble.at
        kept = (*trouble.losses, loss)[-safety.window :]
        return StepOutcome(
            "go on",
            replace(trouble, losses=kept, skipped=0, returns=() if past else trouble.returns),
        )
    if finite:
        wanted: Action | Literal["ignore"] = safety.spike
        reason = f"loss {loss:.4g} at step {step} is a spike: usual is up to {bound:.4g}"
    else:
        wanted, reason = safety.non_finite, f"loss {loss} and gradient norm {grad_norm} at step {step}"
    if wanted == "skip":
        skipped = replace(trouble, skipped=trouble.skipped + 1)
        if skipped.skipped <= safety.at_most:
            return StepOutcome("skip", skipped, reason)
        return StepOutcome("stop", skipped, f"{reason}; {safety.at_most} steps in a row were skipped already")
    if wanted == "back" and len(trouble.returns) >= safety.at_most:
        return StepOutcome("stop", trouble, f"{reason}; the run went back {safety.at_most} times already")
    return StepOutcome("back" if wanted == "back" else "stop", trouble, reason)


def returned(before: Instability, now: Instability, safety: Safety, *, to: int, at: int) -> Instability:
    """What is remembered after going back.

    Args:
        before: of the checkpoint.
        now: when it went wrong.
        safety: the recipe's section.
        to: the checkpoint's step.
        at: the step that went wrong.
    """
    return replace(before, returns=(*now.returns, to), at=at, factor=now.factor * safety.lower)


def instability_to_plain(trouble: Instability) -> dict[str, Any]:
    """As JSON holds it, every digit."""
    return asdict(trouble)


def instability_from(plain: Mapping[str, Any]) -> Instability:
    """What ``instability_to_plain`` gave."""
    lists = {name: tuple(plain[name]) for name in ("losses", "returns")}
    return Instability(**{**plain, **lists})
