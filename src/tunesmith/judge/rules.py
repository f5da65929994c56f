"""One pure function a rule: the history and the rule's numbers in, a verdict or nothing out.

``None`` means that the rule does not fire. A rule that needs a value which is missing or not finite
says *unknown* and names it; a missing number is never taken for a success, nor for a failure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tunesmith.judge.best import at_least_as_good, direction, gain, known
from tunesmith.judge.measurement import History, Measurement, Verdict
from tunesmith.recipe.schema import Divergence, Plateau


def non_finite(history: History) -> Verdict | None:
    """Always on: stop if the newest evaluation loss is infinite or not a number.

    Formula: ``not isfinite(loss[-1])``. From such weights no further step leads back. Other metrics
    may lack a value for good reasons (Pearson's r of constant predictions): they give *unknown*.
    """
    newest = history[-1]
    loss = newest.metrics.get("loss")
    if loss is None or math.isfinite(loss):
        return None
    return _stop("non-finite", f"evaluation loss is {loss} at step {newest.progress.step}")


def target(history: History, wanted: Mapping[str, float]) -> Verdict | None:
    """Good enough: every metric named reaches its value in the newest measurement.

    Formula: ``value[-1] >= wanted`` for metrics of which more is better, ``<=`` for the others.
    """
    newest = history[-1]
    values = {metric: known(newest, metric) for metric in wanted}
    for metric, value in values.items():
        if value is None:
            return unknown_value("target", newest, metric)
    reached = {metric: value for metric, value in values.items() if value is not None}
    if not all(at_least_as_good(metric, value, wanted[metric]) for metric, value in reached.items()):
        return None
    parts = [f"{metric} {show(value)} reached {show(wanted[metric])}" for metric, value in reached.items()]
    return _stop("target", f"{' and '.join(parts)} at step {newest.progress.step}")


def plateau(history: History, rule: Plateau) -> Verdict | None:
    """No gain of at least ``min_gain`` over the best so far in the last ``patience`` evaluations.

    Formula: the best starts at the first known value; an evaluation whose gain over it is positive
    and at least ``min_gain`` becomes the best and sets the count to 0, every other adds 1; stop at
    ``count >= patience``. A slow climb is a gain once its steps add up to ``min_gain``. Earlier
    evaluations without a value are no evidence and do not count.
    """
    newest = history[-1]
    value = known(newest, rule.metric)
    if value is None:
        return unknown_value("plateau", newest, rule.metric)
    without_gain, best = since_gain(history, rule)
    if without_gain < rule.patience:
        return None
    best_value = best.metrics[rule.metric]
    wanted = f" of {show(rule.min_gain)} or more" if rule.min_gain else ""
    return _stop(
        "plateau",
        f"{rule.metric} has made no gain{wanted} in {without_gain} evaluations: "
        f"{show(best_value)} at step {best.progress.step}, {show(value)} at step {newest.progress.step}",
    )


def since_gain(history: History, rule: Plateau) -> tuple[int, Measurement]:
    """Evaluations since the last gain, and the measurement that made it; see ``plateau``."""
    count, best, best_value = 0, history[0], None
    for measurement in history:
        value = known(measurement, rule.metric)
        if value is None:
            continue
        if best_value is None or _is_gain(rule, value, best_value):
            count, best, best_value = 0, measurement, value
        else:
            count += 1
    return count, best


def _is_gain(rule: Plateau, value: float, best: float) -> bool:
    gained = gain(rule.metric, value, best)
    # 0.3 - 0.2 is 0.09999999999999998: a gain of 0.1 asked for and made must count as one
    rounding = 4 * max(math.ulp(value), math.ulp(best)) if rule.min_gain else 0.0
    return gained > 0 and gained + rounding >= rule.min_gain


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
    return _stop(
        "divergence",
        f"loss {show(loss)} at step {newest.progress.step} is more than {rule.factor:g} times "
        f"the {show(start)} of step {first.progress.step}",
    )


def unknown_value(rule: str, measurement: Measurement, metric: str) -> Verdict:
    """The verdict of a rule whose metric has no value: names the metric, the step, and what is there."""
    value = measurement.metrics.get(metric)
    state = "was not measured" if value is None else f"is {value}"
    reason = f"{metric} {state} at step {measurement.progress.step}, so this rule cannot judge"
    return Verdict(decision="unknown", rule=rule, reason=reason)


def better_word(metric: str) -> str:
    """``or more`` or ``or less``: which side of a target is good."""
    return "or more" if direction(metric) == "max" else "or less"


def show(value: float) -> str:
    """A value for people, to three or four digits: ``0.852``, ``12.35``, ``3.1e-05``."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2g}"
    text = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _stop(rule: str, reason: str) -> Verdict:
    return Verdict(decision="stop", rule=rule, reason=reason)
