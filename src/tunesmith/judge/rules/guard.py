"""What the model could do before it must not be forgotten."""

from __future__ import annotations

from tunesmith.judge.measurement import History, Verdict, known, stop_verdict, unknown_value
from tunesmith.judge.significance import look_number, pair_of
from tunesmith.judge.statistics.distributions import spend
from tunesmith.judge.statistics.paired import p_worse
from tunesmith.metrics.table import gain
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import Guard


def guard(history: History, rule: Guard) -> Verdict | None:
    """A metric has fallen by more than ``max_drop`` below the first measurement, and not by chance.

    Formula: ``drop = -gain(value[-1], value[0]) > max_drop``, and, where the two can be compared, a paired
    test of ``drop > max_drop`` whose chance at look k is at most ``6 (1 - sure) / (pi k)²``. Where they
    cannot, the drop itself decides: a guard that cannot tell errs on the safe side.

    Which weights are kept does not wait for the test: see ``best_index``.
    """
    newest, first = history[-1], history[0]
    value, start = known(newest, rule.metric), known(first, rule.metric)
    if value is None or start is None:
        return unknown_value("guard", newest if value is None else first, rule.metric)
    drop = -gain(rule.metric, value, start)
    if newest is first or drop <= rule.max_drop:
        return None
    pair = pair_of(newest, first, rule.metric)
    if pair is not None and p_worse(pair, rule.max_drop) > spend(
        1 - rule.sure, look_number(history, rule.metric)
    ):
        return None
    return stop_verdict(
        "guard",
        f"{rule.metric} {show(value)} at step {newest.step} has fallen by more than {show(rule.max_drop)} "
        f"from the {show(start)} of step {first.step}",
    )
