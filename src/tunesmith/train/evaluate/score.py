"""Model, task and rows in, a measurement out."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tunesmith.fault import fault
from tunesmith.judge.measurement import Measurement
from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.compute import find_metric, metric_value
from tunesmith.tasks.task import Example, Scored, offers
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.inference.forward import infer
from tunesmith.train.supervise.heartbeat import all_gather_objects
from tunesmith.world.signals import Leaving


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A measurement and what it was made of, example by example."""

    measurement: Measurement
    scored: tuple[Scored, ...]


def only_equality(metrics: Sequence[str]) -> bool:
    """Whether all that the metrics want of a prediction is whether it equals the reference."""
    found = [find_metric(name) for name in metrics]
    return all(metric.equality or not metric.needs_predictions for metric in found)


def score(
    process: Process,
    learner: Learner,
    examples: Sequence[Example],
    *,
    predict: bool,
    only_equal: Container[str] = (),
) -> list[Scored]:
    """Score every example once, spread over all processes; all of them get all scores, in order.

    Args:
        process: this one, asked before each pass whether to leave.
        learner: its model is not wrapped for training, and its modes are left as they were.
        examples: the evaluation set.
        predict: whether predictions are wanted.
        only_equal: ids of examples of which it matters only whether they equal the reference.

    Raises:
        Leaving: in all processes, if one was asked to leave before its share was done.
    """
    accelerator, model, task = process.accelerator, learner.model, learner.task
    mine = examples[process.mesh.dp_rank :: process.mesh.dp_size]
    own = partial(task.score, model, mine, predict, only_equal) if mine else list
    idle = partial(task.score, model, [examples[0]], False)
    together: list[Scored] = []
    for one in all_gather_objects(accelerator, _score(process, learner, own, idle)):
        if one is None:
            raise Leaving
        together.append(one)
    order = {example["id"]: index for index, example in enumerate(examples)}
    together.sort(key=lambda one: order[one.id])
    return list(task.relate(together)) if offers(task, "relate") else together


def _score(
    process: Process, learner: Learner, own: Callable[[], list[Scored]], idle: Callable[[], object]
) -> Sequence[Scored | None]:
    """Of this process's examples; one ``None`` if it was asked to leave meanwhile."""

    def work() -> list[Scored]:
        fault("evaluate")
        return own()

    try:
        return infer(process, learner, work, idle)
    except Leaving:
        return [None]


def summarise_scores(
    scored: Sequence[Scored], metrics: Sequence[str], clusters: NDArray[np.int64] | None = None
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Values and 95 % intervals of the metrics, ``loss`` first.

    Args:
        scored: of each example.
        metrics: names.
        clusters: number of each example's cluster, where examples belong together.
    """
    values: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(("loss", *metrics)):
        values[name] = metric_value(name, scored)
        interval = metric_interval(name, scored, clusters=clusters)
        if interval is not None:
            intervals[name] = interval
    return values, intervals
