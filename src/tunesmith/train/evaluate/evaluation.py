"""One look at a model: on as many rows as the decision needs, on further sets, and slice by slice."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.judge.comparisons import Comparands, comparisons
from tunesmith.judge.measurement import History, Measurement, Progress
from tunesmith.judge.schedule.subset import next_size, sizes
from tunesmith.judge.statistics.example_scores import Scores
from tunesmith.judge.statistics.paired import Paired
from tunesmith.metrics.compute import find_metric, predicts
from tunesmith.metrics.names import WORST, slice_name, slice_part, split_name
from tunesmith.metrics.table import metric_direction
from tunesmith.prepare.eval_sets import EvalSets
from tunesmith.recipe.check.metric_names import asked_metrics, contrasts, set_metrics, stop_metrics
from tunesmith.tasks.language.positions import by_position
from tunesmith.tasks.task import Example, Scored
from tunesmith.train.engine.process import from_main
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.train.evaluate.example_scores import scores_by_metric
from tunesmith.train.evaluate.graders import graded
from tunesmith.train.evaluate.harness import with_harness
from tunesmith.train.evaluate.score import Evaluation, only_equality, score, summarise_scores

Values = dict[str, float]
Intervals = dict[str, tuple[float, float]]


def evaluate(
    evaluator: Evaluator,
    progress: Progress,
    history: History = (),
    kept: Comparands | None = None,
    *,
    whole: bool = False,
) -> tuple[Evaluation, Mapping[str, Scores]]:
    """Measure the model as it is now; the same on every process.

    Further sets are always scored whole. Of the evaluation set, ``eval.subset: auto`` scores a part that
    grows until more rows would not change what is done.

    Args:
        evaluator: measures it.
        progress: stamped on the measurement.
        history: the measurements before; what they and the rules ask decides how many rows are needed.
        kept: what each example gave at those that the new one is compared with.
        whole: score every row in any case.

    Returns:
        The evaluation, and what each example gave by the metrics that rules look at.
    """
    started, recipe, accelerator = time.monotonic(), evaluator.recipe, evaluator.process.accelerator
    others = {
        name: score_with(evaluator, rows, set_metrics(recipe, name))
        for name, rows in evaluator.eval_sets.sets.items()
    }
    asks = bool(recipe.eval.harness)
    harness = with_harness(accelerator, evaluator.harness, evaluator.learner) if asks else ({}, {})
    auto, rows = recipe.eval.subset == "auto" and not whole, evaluator.examples
    size: int | None = sizes(len(rows))[0] if auto else len(rows)
    scored: list[Scored] = []
    while size is not None:
        scored += score_with(evaluator, rows[len(scored) : size], evaluator.metrics)
        measurement = _measurement(evaluator, scored, others, progress, harness)
        by_set = {"": scored, **others, **_by_slice(scored, evaluator)}
        newest = scores_by_metric(recipe, by_set, progress.step)
        measurement = replace(measurement, paired=paired(kept or {}, newest, evaluator.eval_sets))
        # processes must go on together, whatever their arithmetic makes of the last bit
        size = from_main(accelerator, next_size(history, measurement, recipe.stop)) if auto else None
    seconds = from_main(accelerator, time.monotonic() - started)
    return Evaluation(replace(measurement, seconds=seconds), tuple(scored)), newest


def score_with(evaluator: Evaluator, examples: Sequence[Example], metrics: Sequence[str]) -> list[Scored]:
    """Score examples with the model of a run, with what the metrics need.

    Samples are answered to the end whatever the metrics want, since people read them.
    """
    shown = {example["id"] for example in evaluator.examples[: evaluator.recipe.eval.samples]}
    ids = {example["id"] for example in examples} if only_equality(metrics) else set()
    scored = score(
        evaluator.process,
        evaluator.learner,
        examples,
        predict=predicts(metrics),
        only_equal=ids - shown,
    )
    if not any(find_metric(name).needs in ("values", "any") for name in metrics):
        scored = [replace(one, values={}) for one in scored]  # files need not hold what nothing is made of
    return graded(evaluator.process.accelerator, evaluator.graders, scored, metrics)


def _measurement(
    evaluator: Evaluator,
    scored: Sequence[Scored],
    others: Mapping[str, Sequence[Scored]],
    progress: Progress,
    harness: tuple[Values, Intervals],
) -> Measurement:
    aside, seen, rows = evaluator.eval_sets, len(scored), len(evaluator.examples)
    clusters = aside.clusters[:seen] if aside.clusters is not None else None
    values, intervals = summarise_scores(scored, evaluator.metrics, clusters)
    found = [_of_set(name, rows, set_metrics(evaluator.recipe, name)) for name, rows in others.items()]
    if seen == rows and aside.slices:
        found.append(of_slices(scored, ("loss", *asked_metrics(evaluator.recipe)), aside))
    found.append(harness)
    if evaluator.recipe.eval.positions:
        found.append(by_position(scored))
    for more, bounds in found:
        values, intervals = values | more, intervals | bounds
    return Measurement(
        progress=progress,
        metrics=values,
        intervals=intervals,
        examples=seen,
        seconds=0.0,
        clusters=len(set(clusters.tolist())) if clusters is not None else None,
        of=rows if seen < rows else None,
        sets={name: len(rows) for name, rows in others.items()},
        slices={slice_part(*part): len(places) for part, places in aside.slices.items()},
    )


def _by_slice(scored: Sequence[Scored], evaluator: Evaluator) -> dict[str, list[Scored]]:
    """The examples of each slice that a rule names, once all rows have been scored."""
    if len(scored) < len(evaluator.examples):
        return {}
    named = dict.fromkeys(split_name(name).where for name in stop_metrics(evaluator.recipe))
    found = {where: evaluator.eval_sets.places(where) for where in named if where.startswith("[")}
    return {
        where: [scored[place] for place in places] for where, places in found.items() if places is not None
    }


def _of_set(name: str, scored: Sequence[Scored], metrics: Sequence[str]) -> tuple[Values, Intervals]:
    values, intervals = summarise_scores(scored, metrics)
    return (
        {f"{name}/{metric}": value for metric, value in values.items()},
        {f"{name}/{metric}": ends for metric, ends in intervals.items()},
    )


def of_slices(scored: Sequence[Scored], metrics: Sequence[str], aside: EvalSets) -> tuple[Values, Intervals]:
    """Each slice's metrics, and the worst of each metric with the interval of that slice."""
    values: Values = {}
    intervals: Intervals = {}
    worst: dict[str, tuple[float, str]] = {}
    for (column, value), places in aside.slices.items():
        clusters = aside.clusters[places] if aside.clusters is not None else None
        own = [name for name in metrics if not (column in aside.telling and contrasts(name))]
        part, bounds = summarise_scores([scored[place] for place in places], own, clusters)
        for metric, number in part.items():
            name = slice_name(metric, column, value)
            values[name] = number
            if metric in bounds:
                intervals[name] = bounds[metric]
            sign = 1.0 if metric_direction(metric) == "max" else -1.0
            worst[metric] = min(worst.get(metric, (sign * number, name)), (sign * number, name))
    for metric, (_, name) in worst.items():
        values[f"{WORST}/{metric}"] = values[name]
        if name in intervals:
            intervals[f"{WORST}/{metric}"] = intervals[name]
    return values, intervals


def paired(kept: Comparands, newest: Mapping[str, Scores], aside: EvalSets) -> tuple[Paired, ...]:
    """Comparisons with what is kept; clusters are those of the examples that each metric is measured on."""
    return tuple(
        pair
        for name, scores in newest.items()
        for pair in comparisons(kept, {name: scores}, aside.clusters_of(split_name(name).where))
    )
