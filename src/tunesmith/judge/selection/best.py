"""Which measurement is the best, and by which metric: that one's weights are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunesmith.judge.measurement import History, Measurement, known
from tunesmith.judge.selection.deciding_metric import choosing
from tunesmith.judge.statistics.paired import p_worse
from tunesmith.metrics.table import at_least_as_good, gain
from tunesmith.recipe.schema.stop import Guard, Leaves, StopRule

SURELY = 0.05
"""The chance below which a subset's difference counts as one."""


def primary_metric(rules: Sequence[StopRule]) -> str:
    """The metric that decides which weights are kept; see ``choosing``."""
    return choosing(rules).metric


def meets_target(measurement: Measurement, target: dict[str, float]) -> bool:
    """Whether every metric named is known there and reaches its value."""
    values = {metric: known(measurement, metric) for metric in target}
    return all(
        value is not None and at_least_as_good(metric, value, target[metric])
        for metric, value in values.items()
    )


def best_index(history: History, single: Leaves, *, guarded: bool = True, held: bool = True) -> int:
    """Index of the measurement whose weights are kept.

    A measurement within all guards beats one outside; then one that meets a whole target beats one that
    does not (this matters only for a target of several metrics); among equals the better value of
    ``primary_metric`` wins, then the earlier. Where one of two saw a part of the evaluation set only, their
    comparison on the same examples says which is better; and one that saw the whole set takes the place
    of one that saw a part, unless it is surely worse: from then on, all of it can be compared.
    One whose metric or loss is not finite, or whose weights are gone, never wins, unless there is no other:
    then it is the first whose weights are there.

    Args:
        history: all measurements, oldest first.
        single: the recipe's ``stop``, flattened.
        guarded: whether guards count; without, the best is found that they may have barred.
        held: whether weights must be there; without, the best is found that may be gone.

    Raises:
        ValueError: if nothing has been measured.
    """
    if not history:
        raise ValueError("nothing has been measured, so nothing is best")
    metric = primary_metric(single)
    counting = single if guarded else without_guards(single)
    there = [not (held and measurement.lost) for measurement in history]
    best: Measurement | None = None
    index = there.index(True) if any(there) else 0
    for position, measurement in enumerate(history):
        if not there[position] or not _counts(measurement, metric):
            continue
        if best is None or _beats(measurement, best, history[0], metric, counting):
            best, index = measurement, position
    return index


def without_guards(single: Leaves) -> Leaves:
    """All single rules that are no guards."""
    return Leaves(tuple(rule for rule in single if rule.guard is None))


def without_choice(history: History, rules: Sequence[StopRule]) -> str | None:
    """Why nothing tells which weights are the best, if so: no measurement has a value to choose by."""
    metric = primary_metric(rules)
    if not history or any(_counts(one, metric) for one in history):
        return None
    return (
        f"`{metric}`, by which weights are chosen, had no value in any of {len(history)} evaluations "
        "(or the loss had none), so the model holds weights that nothing speaks for"
    )


def _counts(measurement: Measurement, metric: str) -> bool:
    return known(measurement, metric) is not None and math.isfinite(measurement.metrics.get("loss", 0.0))


def _beats(newer: Measurement, best: Measurement, first: Measurement, metric: str, single: Leaves) -> bool:
    ours, theirs = (_rank(one, first, single) for one in (newer, best))
    if ours != theirs:
        return ours > theirs
    pair = newer.against(metric, best.step)
    if pair is not None and newer.whole and not best.whole:
        return p_worse(pair) > SURELY
    if pair is not None and not (newer.whole and best.whole):
        return pair.gain > 0
    return gain(metric, newer.metrics[metric], best.metrics[metric]) > 0


def within_guards(measurement: Measurement, first: Measurement, single: Leaves) -> bool:
    """Whether no guarded metric has fallen too far below the first measurement."""
    return all(within(measurement, first, rule.guard) for rule in single if rule.guard is not None)


def _rank(measurement: Measurement, first: Measurement, single: Leaves) -> tuple[bool, bool]:
    """Whether it is within all guards, and whether it meets a whole target on the whole evaluation set."""
    guarded = within_guards(measurement, first, single)
    targets = [rule.target for rule in single if rule.target]
    return guarded, measurement.whole and any(meets_target(measurement, target) for target in targets)


def within(measurement: Measurement, first: Measurement, rule: Guard) -> bool:
    """Whether one guarded metric has not fallen too far; with nothing to compare with, nothing is barred."""
    value, start = known(measurement, rule.metric), known(first, rule.metric)
    if start is None:
        return True
    return value is not None and -gain(rule.metric, value, start) <= rule.max_drop
