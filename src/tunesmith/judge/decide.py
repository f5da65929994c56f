"""From what was measured to what to do: a pure function that can be replayed on any log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesmith.judge import rules as rule
from tunesmith.judge.best import best_index, direction, known, primary_metric
from tunesmith.judge.budget import spent
from tunesmith.judge.measurement import History, Verdict
from tunesmith.recipe.schema import StopRule

SUCCESS = frozenset({"target"})
"""Rules whose stop means *good enough*."""


def decide(history: History, rules: Sequence[StopRule]) -> Verdict:
    """Continue, stop, or unknown, after the newest measurement.

    The order is: non-finite loss (always on), target, divergence, plateau, budget; the first rule
    that says stop decides. If none does, the first that could not judge makes the verdict *unknown*
    (training goes on), else it is *continue* and says how far the run is.

    Args:
        history: all measurements, oldest first.
        rules: the recipe's ``stop``.
    """
    if not history:
        return Verdict(decision="continue", rule="", reason="nothing has been measured yet")
    verdicts = list(_verdicts(history, rules))
    for decision in ("stop", "unknown"):
        for verdict in verdicts:
            if verdict.decision == decision:
                return verdict
    return Verdict(decision="continue", rule="", reason=how_far(history, rules))


def _verdicts(history: History, rules: Sequence[StopRule]) -> Iterator[Verdict]:
    found = [rule.non_finite(history)]
    found += [rule.target(history, each.target) for each in rules if each.target]
    found += [rule.divergence(history, each.divergence) for each in rules if each.divergence]
    found += [rule.plateau(history, each.plateau) for each in rules if each.plateau]
    found += [spent(history[-1].progress, rules)]
    return (verdict for verdict in found if verdict is not None)


def how_far(history: History, rules: Sequence[StopRule]) -> str:
    """How far the run is from its end: ``exact_match 0.71 of 0.85; best so far at step 40``."""
    newest = history[-1]
    parts = []
    for each in rules:
        for metric, wanted in (each.target or {}).items():
            value = known(newest, metric)
            aim = f"of {rule.show(wanted)}" if direction(metric) == "max" else f"down to {rule.show(wanted)}"
            parts.append(f"{metric} {'unknown' if value is None else rule.show(value)} {aim}")
    metric = primary_metric(rules)
    value = known(newest, metric)
    if not parts and value is not None:
        parts.append(f"{metric} {rule.show(value)}")
    best = history[best_index(history, rules)]
    parts.append(f"best so far at step {best.progress.step}")
    for each in rules:
        if each.plateau is not None and len(history) > 1:
            count, _ = rule.since_gain(history, each.plateau)
            if count:
                parts.append(
                    f"{count} of {each.plateau.patience} evaluations without a gain in {each.plateau.metric}"
                )
    return "; ".join(parts)
