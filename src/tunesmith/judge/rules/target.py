"""Good enough: by the value, by its interval, or several times in a row."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.judge.measurement import (
    History,
    Measurement,
    Verdict,
    known,
    stop_verdict,
    unknown,
    unknown_value,
)
from tunesmith.judge.significance import look_number, p_short
from tunesmith.judge.statistics.distributions import spend
from tunesmith.metrics.table import at_least_as_good
from tunesmith.numbers import percent_exact, show


def target(
    history: History, wanted: Mapping[str, float], *, sure: float | None = None, confirm: int | None = None
) -> Verdict | None:
    """Every metric named reaches its value in the newest measurement.

    Formula: ``value[-1] >= wanted`` for metrics of which more is better, ``<=`` for the others.

    With ``confirm: n`` the last n measurements must all do so.

    With ``sure: s`` each metric's interval must pass ``wanted`` with its near end: at look k the chance of
    so good a value, were the true one short of ``wanted``, is at most ``6 (1 - s) / (pi k)²`` (see
    ``spend`` and ``p_short``). Summed over all looks, that is at most ``1 - s``: this is the share of
    runs that may stop here although their model is not good enough, however often one looks. Only a
    measurement of the whole evaluation set is believed.
    """
    newest = history[-1]
    for metric in wanted:
        if known(newest, metric) is None:
            return unknown_value("target", newest, metric)
    run = history[-(confirm or 1) :]
    if len(run) < (confirm or 1) or not all(_reached(one, wanted) for one in run):
        return None
    words = [f"{metric} {show(newest.metrics[metric])} reached {show(wanted[metric])}" for metric in wanted]
    reason = f"{' and '.join(words)} at step {newest.step}"
    if confirm is not None:
        reason += f", as in {confirm} evaluations in a row"
    if sure is None:
        return stop_verdict("target", reason) if newest.whole else None
    for metric, value in wanted.items():
        chance = p_short(newest, metric, value)
        if chance is None:
            return unknown("target", f"{metric} has no interval at step {newest.step}")
        if chance > spend(1 - sure, look_number(history, metric)):
            return None
    return (
        stop_verdict("target", f"{reason}, {percent_exact(sure)} sure over all looks")
        if newest.whole
        else None
    )


def _reached(measurement: Measurement, wanted: Mapping[str, float]) -> bool:
    values = {metric: known(measurement, metric) for metric in wanted}
    return all(v is not None and at_least_as_good(metric, v, wanted[metric]) for metric, v in values.items())
