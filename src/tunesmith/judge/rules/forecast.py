"""What is still to come is not worth waiting for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.judge.budget import share_spent
from tunesmith.judge.measurement import (
    History,
    Measurement,
    Verdict,
    known,
    stop_verdict,
    unknown,
    unknown_value,
)
from tunesmith.judge.statistics.curve_fit import Extrapolation, extrapolate
from tunesmith.judge.statistics.distributions import normal_quantile, normal_tail
from tunesmith.metrics.table import direction
from tunesmith.numbers import percent_exact, show
from tunesmith.recipe.schema.stop import Forecast, StopRule


def check_forecast(history: History, rule: Forecast, rules: Sequence[StopRule]) -> Verdict | None:
    """Extrapolate the metric to the end of the budget and stop if that is not worth it.

    The curve is a power law with its uncertainty (``curve_fit.outlook``); the end is where the budgets of
    ``rules`` run out at the present pace. With G the gain to come, sd its standard deviation and z the
    normal quantile of ``sure``, the rule fires when

    - ``target``: ``P(value at the end reaches it) < 1 - sure``, with the noise of one evaluation added;
    - ``min_gain``: ``G + z sd < min_gain * |value now|``;
    - ``worth`` and ``price``: ``(G(t) + z sd(t)) * worth < cost(t)`` for every t from here to the end, cost
      being device-hours times price.

    It says nothing before ``after`` evaluations. It is for a constant learning rate: a rate that decays
    makes gains late that no curve foretells, so it is *unknown* with one (a recipe is checked for that).
    """
    newest = history[-1]
    if known(newest, rule.metric) is None:
        return unknown_value("forecast", newest, rule.metric)
    points = [one for one in history if known(one, rule.metric) is not None]
    spent = share_spent(newest.progress, rules)
    if len(points) < rule.after or newest.step == 0 or spent >= 1:
        return None
    if spent <= 0:
        return unknown("forecast", "nothing tells how much of the budget is left")
    sign = -1.0 if direction(rule.metric) == "max" else 1.0
    ends = newest.step * (1 + (1 / spent - 1) * np.linspace(0.1, 1, 10))
    curve = extrapolate(
        [one.step for one in points], [sign * one.metrics[rule.metric] for one in points], list(ends)
    )
    if curve is None:
        return None
    return _verdict(rule, newest, curve, sign, spent)


def _verdict(
    rule: Forecast, newest: Measurement, curve: Sequence[Extrapolation], sign: float, spent: float
) -> Verdict | None:
    end, z = curve[-1], normal_quantile(rule.sure)
    left = f"in the {percent_exact(round(1 - spent, 3))} of the budget that is left"
    if rule.target is not None:
        spread = (end.value_error**2 + end.noise**2) ** 0.5
        chance = normal_tail((end.value - sign * rule.target) / max(spread, 1e-300))
        if chance < 1 - rule.sure:
            words = f"{rule.metric} is expected to come to {show(sign * end.value)} {left}, and reaches"
            return stop_verdict(
                "forecast", f"{words} {show(rule.target)} with a chance of {percent_exact(chance)}"
            )
    most = end.gain + z * end.gain_error
    if rule.min_gain is not None and most < rule.min_gain * abs(end.value + end.gain):
        words = f"{rule.metric} gains less than {percent_exact(rule.min_gain)} of its value {left}"
        return stop_verdict(
            "forecast", f"{words}, {percent_exact(rule.sure)} sure ({show(max(end.gain, 0.0))} expected)"
        )
    if rule.worth is not None and rule.price is not None:
        return _not_worth_it(rule, newest, curve, z, spent)
    return None


def _not_worth_it(
    rule: Forecast, newest: Measurement, curve: Sequence[Extrapolation], z: float, spent: float
) -> Verdict | None:
    progress, worth, price = newest.progress, rule.worth or 0.0, rule.price or 0.0
    seconds = progress.seconds if progress.device_seconds is None else progress.device_seconds
    rest = seconds * (1 / spent - 1) / 3600 * price
    shares = np.linspace(0.1, 1, 10)
    gains = [(one.gain + z * one.gain_error) * worth for one in curve]
    if any(gain >= share * rest for gain, share in zip(gains, shares, strict=True)):
        return None
    return stop_verdict(
        "forecast",
        f"what {rule.metric} may still gain is worth {show(max(gains[-1], 0.0))} at most, "
        f"and the rest of the budget costs {show(rest)}",
    )
