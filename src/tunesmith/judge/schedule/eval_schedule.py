"""When to look next: often early, rarely late, for a bounded share of the time, but some five times."""

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


LEAST = 5
"""Looks after the baseline that a run of known length has, whatever they cost: fewer show no curve."""
EARLIEST = 20
"""Steps before which hardly anything is learnt: the first look waits for them where there are many."""


def next_eval_step(
    history: History, total_steps: int | None, *, overhead: float = OVERHEAD, warmup: int = 0
) -> int:
    """The step of the next evaluation.

    On a power law ``c + a t**-b`` equal ratios of time bring equal shares of what is left to gain, so
    looks are spaced by a ratio at first: at 1 % of the budget, then each 1.25 times as far as the one
    before, but at most 5 % of the budget apart. Where one evaluation costs more than
    ``overhead * (training since the one before)``, they are spread so far that it does not:
    ``gap >= cost / (overhead * seconds a step)``, rounded up to a power of two, so that small changes of
    the clock do not move the looks. But they are never further apart than a fifth of the budget: a short run
    pays more for looking than ``overhead``, since without some five looks no rule can speak. The first comes
    after the warm-up and ``EARLIEST`` steps, before which there can be no difference. Costs come from the
    measurements themselves, hence from the history that a checkpoint holds: a continued run looks at the
    same steps.

    Args:
        history: all measurements so far.
        total_steps: of the whole budget; ``None`` if only time, energy or money bounds the run: then looks
            begin at the first step, and only the ratio and the cost space them.
        overhead: largest share of time.
        warmup: steps over which the learning rate rises.

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
    if now == 0:
        gap = max(gap, warmup, EARLIEST if total_steps is not None else 1)
    if total_steps is None:
        return now + gap
    return max(now + 1, min(total_steps, now + min(gap, math.ceil(total_steps / LEAST))))


def _cost_in_steps(history: History) -> float | None:
    """How many training steps take as long as one evaluation; ``None`` before there is a step to tell."""
    if not history or history[-1].step == 0:
        return None
    newest = history[-1]
    evaluating = sum(one.seconds for one in history[:-1])
    training = newest.progress.seconds - evaluating
    seconds_a_step = training / newest.step
    return newest.seconds / seconds_a_step if seconds_a_step > 0 else None
