"""The verdicts that rules give: stop, or *unknown* with the name of what is missing."""

from __future__ import annotations

from tunesmith.judge.measurement import Measurement, Verdict


def stop(rule: str, reason: str) -> Verdict:
    """Training ends here."""
    return Verdict(decision="stop", rule=rule, reason=reason)


def unknown(rule: str, reason: str) -> Verdict:
    """The rule cannot judge: never a success, and never a failure."""
    return Verdict(decision="unknown", rule=rule, reason=f"{reason}, so this rule cannot judge")


def unknown_value(rule: str, measurement: Measurement, metric: str) -> Verdict:
    """The verdict of a rule whose metric has no value: names the metric, the step, and what is there."""
    value = measurement.metrics.get(metric)
    state = "was not measured" if value is None else f"is {value}"
    return unknown(rule, f"{metric} {state} at step {measurement.step}")
