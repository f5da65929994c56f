"""From what was measured to what to do: a pure function that can be replayed on any log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunesmith.judge.budget import spent, spent_of
from tunesmith.judge.measurement import History, Verdict, known
from tunesmith.judge.rules.divergence import divergence
from tunesmith.judge.rules.forecast import check_forecast
from tunesmith.judge.rules.guard import guard
from tunesmith.judge.rules.non_finite import non_finite
from tunesmith.judge.rules.overfitting import overfitting
from tunesmith.judge.rules.plateau import plateau, since_gain
from tunesmith.judge.rules.target import target
from tunesmith.judge.selection.best import best_index, primary_metric, within_guards
from tunesmith.metrics.table import direction
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import Leaves, StopRule, leaves

SUCCESS = frozenset({"target"})
"""Rules whose stop means *good enough*."""

ORDER = (
    "non-finite",
    "missing",
    "target",
    "divergence",
    "guard",
    "overfitting",
    "plateau",
    "forecast",
    "budget",
)
"""Which rule gives its name and its reason when several fire at once."""


def decide(history: History, rules: Sequence[StopRule]) -> Verdict:
    """Continue, stop, or unknown, after the newest measurement.

    Of the rules that say stop the first in ``ORDER`` decides. If none does, the first that could not
    judge makes the verdict *unknown* (training goes on), else it is *continue* and says how far the run
    is. A non-finite loss always stops, and so do the default budget's 3 epochs where no budget is named.

    Args:
        history: all measurements, oldest first.
        rules: the recipe's ``stop``.
    """
    if not history:
        return Verdict(decision="continue", rule="", reason="nothing has been measured yet")
    single = leaves(rules)
    found = [non_finite(history), *(judge(rule, history, rules, single) for rule in rules)]
    verdict = _first([*found, spent(history[-1].progress, rules)])
    return verdict or Verdict(decision="continue", rule="", reason=how_far(history, single))


def unjudged(history: History, rules: Sequence[StopRule]) -> list[str]:
    """Why rules could not judge the newest measurement, one sentence each: no success, and no failure."""
    single = leaves(rules)
    verdicts = [judge(rule, history, rules, single) for rule in rules] if history else []
    return [f"{one.rule}: {one.reason}" for one in verdicts if one is not None and one.decision == "unknown"]


def judge(rule: StopRule, history: History, rules: Sequence[StopRule], single: Leaves) -> Verdict | None:
    """One rule's verdict, ``any`` and ``all`` included; ``None`` if it does not fire.

    ``any`` stops when one member does, ``all`` when every member does. A member that cannot judge leaves
    ``all`` unknown unless another says no, and ``any`` unknown unless another says stop (Kleene's
    three-valued logic): not knowing is never taken for a yes.

    Args:
        rule: to be judged.
        history: all measurements, oldest first.
        rules: the recipe's ``stop``, whose budgets say how long the run may yet take.
        single: the same, flattened: its guards say what is not kept.
    """
    if rule.any is not None:
        verdict = _first([judge(member, history, rules, single) for member in rule.any])
    elif rule.all is not None:
        verdict = _together([judge(member, history, rules, single) for member in rule.all])
    else:
        verdict = _single(rule, history, rules, single)
    if verdict is not None and verdict.decision == "unknown" and rule.missing == "error":
        return Verdict(decision="stop", rule="missing", reason=verdict.reason)
    return verdict


def _single(rule: StopRule, history: History, rules: Sequence[StopRule], single: Leaves) -> Verdict | None:
    if rule.target:
        verdict = target(history, rule.target, sure=rule.sure, confirm=rule.confirm)
        # what a guard bars is not kept, so it is not good enough either
        barred = not within_guards(history[-1], history[0], single)
        return None if barred and verdict is not None and verdict.stop else verdict
    if rule.plateau is not None:
        return plateau(history, rule.plateau)
    if rule.overfitting is not None:
        return overfitting(history, rule.overfitting)
    if rule.forecast is not None:
        return check_forecast(history, rule.forecast, rules)
    if rule.divergence is not None:
        return divergence(history, rule.divergence)
    if rule.guard is not None:
        return guard(history, rule.guard)
    return spent_of(history[-1].progress, rule.budget) if rule.budget is not None else None


def _first(found: Iterable[Verdict | None]) -> Verdict | None:
    verdicts = [verdict for verdict in found if verdict is not None]
    stops = [verdict for verdict in verdicts if verdict.stop]
    return min(stops, key=lambda one: ORDER.index(one.rule)) if stops else next(iter(verdicts), None)


def _together(found: Sequence[Verdict | None]) -> Verdict | None:
    verdicts = [verdict for verdict in found if verdict is not None]
    if not verdicts or len(verdicts) < len(found):
        return next((verdict for verdict in verdicts if verdict.rule == "missing"), None)
    unsure = next((verdict for verdict in verdicts if not verdict.stop), None)
    if unsure is not None:
        return unsure
    named = min(verdicts, key=lambda one: ORDER.index(one.rule))
    reason = ", and ".join(dict.fromkeys(verdict.reason for verdict in verdicts))
    return Verdict(decision="stop", rule=named.rule, reason=reason)


def how_far(history: History, single: Leaves) -> str:
    """How far the run is from its end: ``exact_match 0.71 of 0.85; best so far at step 40``."""
    newest = history[-1]
    parts = []
    for each in single:
        for metric, wanted in (each.target or {}).items():
            value = known(newest, metric)
            aim = f"of {show(wanted)}" if direction(metric) == "max" else f"down to {show(wanted)}"
            parts.append(f"{metric} {'unknown' if value is None else show(value)} {aim}")
    metric = primary_metric(single)
    value = known(newest, metric)
    if not parts and value is not None:
        parts.append(f"{metric} {show(value)}")
    best = history[best_index(history, single)]
    parts.append(f"best so far at step {best.step}")
    for each in single:
        if each.plateau is not None and len(history) > 1:
            count, _ = since_gain(history, each.plateau)
            patience = each.plateau.patience
            if count and patience.unit == "evaluations":
                words = f"{count} of {patience.plain()} evaluations without a gain in {each.plateau.metric}"
                parts.append(words)
    return "; ".join(parts)
