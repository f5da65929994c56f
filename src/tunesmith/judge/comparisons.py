"""Which earlier measurements the rules will want to compare the next one with, and their scores.

A run keeps the scores of these few alone, however many evaluations there are: they are what its
checkpoints hold beside the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.judge.measurement import History, known
from tunesmith.judge.rules.plateau import since_gain
from tunesmith.judge.selection.best import best_index, primary_metric
from tunesmith.judge.significance import best_before
from tunesmith.judge.statistics.example_scores import Scores, scores_from_plain, scores_to_plain
from tunesmith.judge.statistics.paired import Paired, paired_test
from tunesmith.recipe.schema.stop import Leaves, StopRule, leaves

Comparands = Mapping[str, tuple[Scores, ...]]
"""Metric to the scores of earlier measurements."""


def references(history: History, rules: Sequence[StopRule]) -> dict[str, tuple[int, ...]]:
    """Metric to the steps of the measurements that the next one must be compared with.

    The best by the metric that chooses the weights; the last gain of each plateau; the best of each
    overfitting rule's metric; the first measurement for each guard.
    """
    if not history:
        return {}
    wanted: dict[str, set[int]] = {}
    for metric, step in _wanted(history, leaves(rules)):
        wanted.setdefault(metric, set()).add(step)
    return {metric: tuple(sorted(steps)) for metric, steps in wanted.items()}


def _wanted(history: History, single: Leaves) -> Iterator[tuple[str, int]]:
    yield primary_metric(single), history[best_index(history, single)].step
    for rule in single:
        if rule.plateau is not None and (
            rule.plateau.sure is not None or rule.plateau.patience.unit == "bits"
        ):
            yield rule.plateau.metric, since_gain(history, rule.plateau)[1].step
        if rule.overfitting is not None:
            best = best_before((*history, history[-1]), rule.overfitting.metric)
            if best is not None:
                yield rule.overfitting.metric, best.step
        if rule.guard is not None and known(history[0], rule.guard.metric) is not None:
            yield rule.guard.metric, history[0].step


def comparisons(
    kept: Comparands, newest: Mapping[str, Scores], clusters: NDArray[np.int64] | None = None
) -> tuple[Paired, ...]:
    """The newest scores against every one kept: what ``Measurement.paired`` holds.

    Args:
        kept: what ``keep`` returned after the measurement before.
        newest: metric to the scores of the new measurement.
        clusters: number of each example's cluster, where rows belong together.
    """
    pairs = [
        paired_test(metric, newest[metric], older, clusters)
        for metric, olders in kept.items()
        if metric in newest
        for older in olders
    ]
    return tuple(pair for pair in pairs if pair is not None)


def keep(
    kept: Comparands, newest: Mapping[str, Scores], history: History, rules: Sequence[StopRule]
) -> Comparands:
    """The scores to hold on to, after ``history`` has got its newest measurement."""
    held: dict[str, tuple[Scores, ...]] = {}
    for metric, steps in references(history, rules).items():
        known_here = {one.step: one for one in kept.get(metric, ())}
        if metric in newest:
            known_here[newest[metric].step] = newest[metric]
        held[metric] = tuple(known_here[step] for step in steps if step in known_here)
    return held


def comparands_to_plain(kept: Comparands) -> dict[str, Any]:
    """What is kept as values that JSON can hold."""
    return {metric: [scores_to_plain(one) for one in scores] for metric, scores in kept.items()}


def comparands_from_plain(plain: Mapping[str, Any]) -> Comparands:
    """What ``comparands_to_plain`` wrote.

    Raises:
        ValueError: if it was not.
    """
    return {metric: tuple(scores_from_plain(one) for one in scores) for metric, scores in plain.items()}
