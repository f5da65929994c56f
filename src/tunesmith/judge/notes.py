"""What is said of a measurement beside its verdict: barred weights, targets that ask for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.judge.measurement import History
from tunesmith.judge.selection.best import meets_target
from tunesmith.judge.selection.guards import barred_message
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import Leaves, StopRule, leaves


def notes(history: History, rules: Sequence[StopRule]) -> list[str]:
    """Sentences to say with the newest measurement, without a full stop; most have none."""
    if not history:
        return []
    single = leaves(rules)
    asks_for_nothing = met_before(history, single) if len(history) == 1 else ""
    return [*([asks_for_nothing] if asks_for_nothing else []), *barred_message(history, single)]


def met_before(history: History, single: Leaves) -> str:
    """That a target was met before the first step, and so asks for nothing; empty if none was."""
    if not history or history[0].step:
        return ""
    first = history[0]
    for rule in single:
        if rule.target and meets_target(first, rule.target):
            had = " and ".join(f"{name} was {show(first.metrics[name])}" for name in rule.target)
            wanted = " and ".join(f"{name} {show(value)}" for name, value in rule.target.items())
            return f"the target {wanted} asks for nothing: {had} before the first step; set it beyond that"
    return ""
