"""The end of a run in a few plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.judge.measurement import History, Measurement, Verdict, known
from tunesmith.judge.notes import met_before
from tunesmith.judge.selection.best import best_index, primary_metric
from tunesmith.judge.selection.delivered import Delivered
from tunesmith.judge.selection.guards import passed_over
from tunesmith.metrics.names import WORST, split_name
from tunesmith.metrics.table import at_least_as_good, better_word, gain
from tunesmith.numbers import duration, show
from tunesmith.recipe.schema.stop import Leaves, StopRule, leaves

_OPENING = {
    "target": "The model is good enough",
    "plateau": "Training no longer helps",
    "overfitting": "What is learnt no longer carries over",
    "forecast": "Going on is not worth it",
    "guard": "The model forgets what it could do",
    "missing": "A metric that the recipe insists on has no value",
    "divergence": "Training made the model worse",
    "non-finite": "Training broke down",
    "budget": "The budget is spent",
    "request": "It was ended by hand",
}


def explain_verdict(
    history: History, verdict: Verdict, rules: Sequence[StopRule], delivered: Delivered | None = None
) -> str:
    """Why the run ended, what was gained, and which weights are kept.

    Args:
        history: all measurements, oldest first; the first at step 0 is the baseline.
        verdict: the last one.
        rules: the recipe's ``stop``.
        delivered: the weights that were written; default: the best of the history.
    """
    if not history:
        return f"{_why(verdict)} Nothing was measured."
    single = leaves(rules)
    given = delivered or Delivered(measurement=history[best_index(history, single)])
    best, nothing = given.measurement, met_before(history, single)
    sentences = [_why(verdict), f"{nothing[0].upper()}{nothing[1:]}." if nothing else ""]
    sentences += [
        _gain(history, given, primary_metric(single)),
        "" if given.average else _kept(best, history[-1]),
        *passed_over(history, single),
        *_doubts(best, single),
    ]
    if verdict.rule != "target":
        sentences += _missed(best, single)
    return " ".join(sentence for sentence in sentences if sentence)


def _why(verdict: Verdict) -> str:
    if verdict.decision == "unknown":
        return f"The run ended without a judgement by `{verdict.rule}`: {verdict.reason}."
    opening = (
        _OPENING.get(verdict.rule, "The run ended") if verdict.stop else "The run ended before a rule said so"
    )
    return f"{opening}: {verdict.reason}."


def _gain(history: History, given: Delivered, metric: str) -> str:
    first, best = history[0], given.measurement
    value, baseline = known(best, metric), known(first, metric)
    if value is None:
        return f"No finite value of {metric} was ever measured."
    if first.step:
        return f"The best {metric} is {_with_interval(best, metric)}; no baseline was measured."
    untrained = best.step == 0 and not given.average
    if untrained or baseline is None or gain(metric, value, baseline) <= 0:
        before = "unknown" if baseline is None else show(baseline)
        return f"Against the baseline ({metric} {before}) nothing was gained."
    few = "" if first.whole or untrained else f" (over {first.examples:,} of {first.of:,} rows)"
    took = duration(best.progress.seconds)
    return (
        f"{metric} went from {show(baseline)}{few} before the first step to {_with_interval(best, metric)} "
        f"in {best.step} steps and {took}."
    )


def _with_interval(measurement: Measurement, metric: str) -> str:
    text = show(measurement.metrics[metric])
    if metric in measurement.intervals:
        low, high = measurement.intervals[metric]
        over = "" if split_name(metric).where == WORST else f" over {measurement.seen(metric):,} examples"
        text += f" (95 % interval {show(low)} to {show(high)}{over})"
    return text


def _kept(best: Measurement, newest: Measurement) -> str:
    step = best.progress.step
    if step == 0:
        return "The weights kept are those from before training (step 0)."
    if best is newest:
        return f"The weights kept are the last ones, of step {step}."
    return f"The weights kept are those of step {step}, not the last ones of step {newest.progress.step}."


def _doubts(best: Measurement, single: Leaves) -> list[str]:
    """A target inside the interval is reached by the number, but not beyond doubt: say so."""
    doubts = []
    for rule in single:
        for metric, wanted in (rule.target or {}).items():
            value, interval = known(best, metric), best.intervals.get(metric)
            if value is None or interval is None or not at_least_as_good(metric, value, wanted):
                continue
            if not all(at_least_as_good(metric, end, wanted) for end in interval):
                doubts.append(
                    f"The interval of {metric} also holds values short of {show(wanted)}; "
                    "more evaluation rows would make this surer."
                )
    return doubts


def _missed(best: Measurement, single: Leaves) -> list[str]:
    missed = []
    for rule in single:
        for metric, wanted in (rule.target or {}).items():
            value = known(best, metric)
            if value is None or not at_least_as_good(metric, value, wanted):
                missed.append(f"{metric} {show(wanted)} {better_word(metric)}")
    return [f"The target was not reached: {', '.join(missed)}."] if missed else []


_OWN = ("sure", "confirm", "missing")
_JOINED = ("any", "all")


def rules_in_words(rules: Sequence[StopRule]) -> tuple[str, ...]:
    """A line a rule: ``target: exact_match 0.85, sure 0.95``; joined ones in brackets."""
    return tuple(_words(rule) for rule in rules)


def _words(rule: StopRule) -> str:
    parts = []
    for kind in _JOINED:
        members = getattr(rule, kind)
        if members is not None:
            parts.append(f"{kind} of ({'; '.join(_words(member) for member in members)})")
    plain = rule.model_dump(exclude_none=True, exclude={*_OWN, *_JOINED})
    for kind, keys in plain.items():
        said = ", ".join(f"{key} {value}" for key, value in keys.items())
        parts.append(f"{kind}: {said}" if said else kind)
    own = [f"{key} {getattr(rule, key)}" for key in _OWN if getattr(rule, key) is not None]
    return ", ".join([*parts, *own])
