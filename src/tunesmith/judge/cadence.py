"""When to look next: often early, rarely late, and never for more than a share of the time."""

from __future__ import annotations

import math

from tunesmith.judge.measurement import History

OVERHEAD = 0.05
"""Largest share of training's time that evaluations take, over the run."""
FIRST = 0.01
"""First look, as a share of the whole budget."""
GROWTH = 1.25
"""Each look after that comes when the run is a quarter longer than at the one before, …"""
WIDEST = 0.05
"""… or this share of the budget later, if that is sooner: a curve near its end must not be lost."""


def next_look(history: History, total_steps: int | None, *, overhead: float = OVERHEAD) -> int:
    """The step of the next evaluation.

    On a power law ``c + a t**-b`` equal ratios of time bring equal shares of what is left to gain, so
    looks are spaced by a ratio at first: at 1 % of the budget, then each 1.25 times as far as the one
    before, but at most 5 % of the budget apart. Where one evaluation costs more than
    ``overhead * (training since the one before)``, they are spread so far that it does not:
    ``gap >= cost / (overhead * seconds a step)``, rounded up to a power of two, so that small changes of
    the clock do not move the looks. Costs come from the measurements themselves, hence from the history
    that a checkpoint holds: a continued run looks at the same steps.

    Args:
        history: all measurements so far.
        total_steps: of the whole budget; ``None`` if only time, energy or money bounds the run: then looks
            begin at the first step, and only the ratio and the cost space them.
        overhead: largest share of time.

    Returns:
        A step after the newest measurement, ``total_steps`` at most.
    """
    now = history[-1].step if history else 0
    gap = max(1, math.ceil((GROWTH - 1) * now))
    if total_steps is not None:
        gap = min(max(math.ceil(FIRST * total_steps), gap), math.ceil(WIDEST * total_steps))
    cost = _cost_in_steps(history)
    if cost is not None and cost > 0 and overhead > 0:
        gap = max(gap, 2 ** math.ceil(math.log2(cost / overhead)))
    return now + gap if total_steps is None else max(now + 1, min(total_steps, now + gap))


def _cost_in_steps(history: History) -> float | None:
    """How many training steps take as long as one evaluation; ``None`` before there is a step to tell."""
    if not history or history[-1].step == 0:
        return None
    newest = history[-1]
    evaluating = sum(one.seconds for one in history[:-1])
    training = newest.progress.seconds - evaluating
    seconds_a_step = training / newest.step
    return newest.seconds / seconds_a_step if seconds_a_step > 0 else None
