"""Training has made the model worse than it was."""

from __future__ import annotations

from tunesmith.judge.measurement import History, Verdict, known, stop_verdict, unknown_value
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import Divergence


def divergence(history: History, rule: Divergence) -> Verdict | None:
    """The evaluation loss has left its start behind: ``loss[-1] > factor * loss[0]``.

    ``loss[0]`` is the baseline before the first step, or the first evaluation if the recipe wants
    no baseline.
    """
    newest, first = history[-1], history[0]
    loss, start = known(newest, "loss"), known(first, "loss")
    if loss is None or start is None:
        return unknown_value("divergence", newest if loss is None else first, "loss")
    if loss <= rule.factor * start:
        return None
    return stop_verdict(
        "divergence",
        f"loss {show(loss)} at step {newest.step} is more than {rule.factor:g} times "
        f"the {show(start)} of step {first.step}",
    )
