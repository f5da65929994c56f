"""What a finished model reaches on a file of rows: every metric, with intervals, slices and confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.infer.evaluation_rows import Measurable, encode_samples, read_samples, task_for
from tunesmith.infer.open_run import find_model, open_run
from tunesmith.infer.progress import progress
from tunesmith.judge.statistics.intervals import Interval
from tunesmith.metrics.compute import find_metric
from tunesmith.metrics.families.ranking import MOST_CLASSES
from tunesmith.metrics.names import USER_PREFIX, class_part
from tunesmith.recipe.check.metric_names import asked_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.language import GRADED
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.suggest import did_you_mean
from tunesmith.tasks.task import Scored, offers

AT_ONCE = 256
"""Rows between two movements of the progress bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What a model reaches on a file.

    Attributes:
        task: of the model.
        rows: that were scored.
        left_out: reason to number of rows that were not.
        metrics: name to value, slices among them as ``metric[column=value]``.
        intervals: name to its 95 % interval.
        confusion: ``labels`` and ``counts`` for classes, else ``None``.
        notes: what of the recipe could not be done with this file.
        scored: each row.
    """

    task: str
    rows: int
    left_out: Mapping[str, int]
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    confusion: Mapping[str, Any] | None
    notes: Sequence[str]
    scored: Sequence[Scored]


def evaluate_file(
    path: Path,
    data: Path,
    *,
    task: str | None = None,
    slices: Sequence[str] = (),
    max_new_tokens: int | None = None,
    batch_size: int | None = None,
    folder: Path | None = None,
) -> Evaluated:
    """Score every row of a file with a finished model.

    Args:
        path: a run directory or a model's folder.
        data: rows with their right answers.
        task: of a model that no run made, where its configuration does not tell.
        slices: columns whose values are measured apart; default: the recipe's, where the file has them.
        max_new_tokens: most tokens of an answer; default: the recipe's.
        batch_size: rows at once; it changes the speed alone.
        folder: where a judge's replies are kept, if the recipe has one.

    Raises:
        UserError: no finished model, or a file that does not do for its task.
    """
    from tunesmith.prepare.hardware import silence_libraries

    silence_libraries()
    recipe, _ = find_model(path, task)
    samples, left_out = read_samples(data, recipe)
    columns = [set(sample.columns) | set(sample.row.fields) for sample in samples]
    recipe, notes = _sliced(recipe, columns, slices, data)
    opened = open_run(path, task)
    bound = task_for(opened, max_new_tokens=max_new_tokens, batch_size=batch_size)
    rows = encode_samples(samples, bound, left_out)
    names = metrics_for(recipe, rows, getattr(bound, "labels", ()))
    scored = _scored(bound, opened.model, rows, names)
    scored = _graded(scored, names, recipe, rows, folder or data.parent)
    metrics, intervals, more = _summary(scored, names, recipe, rows)
    return Evaluated(
        task=recipe.task.name,
        rows=len(scored),
        left_out=rows.left_out,
        metrics=metrics,
        intervals=intervals,
        confusion=_confusion(scored, bound.class_names()),
        notes=[*notes, *more, *_not_run(recipe)],
        scored=scored,
    )


def metrics_for(recipe: Recipe, rows: Measurable, labels: Sequence[str] = ()) -> list[str]:
    """Every metric of the task that these rows allow, and what else the recipe asks for.

    Answers are compared only where every row has one. Metrics with settings of their own, such as a regular
    expression or a judge, are the recipe's to ask for. Those of probabilities are for few classes alone.
    """
    answered = all(example["reference"] != "" for example in rows.examples)
    task = spec_of(recipe.task)
    usual = [name for name in task.metrics if name not in GRADED and class_part(name) is None]
    asked = [name for name in asked_metrics(recipe) if not name.startswith(USER_PREFIX)]
    names = list(dict.fromkeys((*usual, *asked)))
    if len(labels) > MOST_CLASSES:
        names = [name for name in names if find_metric(name).needs != "values"]
    if task.output == "vector":
        scores = all(isinstance(example["reference"], float) for example in rows.examples)
        names = [name for name in names if name == "loss" or (find_metric(name).needs == "number") == scores]
    if task.output == "number":
        names.remove("loss")  # in training it is that of standardised numbers; here it would be the mse
    return names if answered else [name for name in names if not find_metric(name).needs_predictions]


def _not_run(recipe: Recipe) -> list[str]:
    own = [name for name in asked_metrics(recipe) if name.startswith(USER_PREFIX)]
    return [f"`{name}` is code beside the run's recipe, and runs with that alone" for name in own]


def _sliced(
    recipe: Recipe, columns: Sequence[set[str]], slices: Sequence[str], data: Path
) -> tuple[Recipe, list[str]]:
    """The recipe with the slices and clusters that the file can give, and what it cannot."""
    there = set.intersection(*columns) if columns else set()
    for name in slices:
        if name not in there:
            hint = did_you_mean(name, sorted(there), "columns that every row has")
            raise UserError(f"`--slices {name}` names a column that is not there", str(data), hint)
    asked = slices or [name for name in recipe.eval.columns if name in there]
    section = recipe.eval
    named = (*section.columns, section.cluster, section.code.tests)
    lost = [name for name in named if name is not None and name not in there]
    notes = [f"the file has no column `{name}`, by which the run's recipe groups or tests" for name in lost]
    cluster = section.cluster if section.cluster in there else None
    code = section.code if section.code.tests in there else section.code.model_copy(update={"tests": None})
    dropped = {"code"} if section.code.tests in lost else set()
    changes = {
        "slices": tuple(asked),
        "cluster": cluster,
        "code": code,
        "metrics": tuple(name for name in section.metrics if name not in dropped),
    }
    return recipe.model_copy(update={"eval": section.model_copy(update=changes)}), notes


def _scored(task: Any, model: Any, rows: Measurable, names: Sequence[str]) -> list[Scored]:
    import torch

    predict = any(find_metric(name).needs_predictions for name in names)
    scored: list[Scored] = []
    order = sorted(range(len(rows.examples)), key=lambda index: rows.examples[index]["length"])
    with torch.no_grad(), progress("evaluating", len(order)) as advance:
        for start in range(0, len(order), AT_ONCE):
            chosen = [rows.examples[index] for index in order[start : start + AT_ONCE]]
            scored += task.score(model, chosen, predict)
            advance(len(chosen))
    places = {place: rank for rank, place in enumerate(order)}
    scored = [scored[places[index]] for index in range(len(order))]
    return list(task.relate(scored)) if offers(task, "relate") else scored


def _graded(
    scored: list[Scored], names: Sequence[str], recipe: Recipe, rows: Measurable, folder: Path
) -> list[Scored]:
    """The scores with the values of metrics that look at each answer by other means."""
    from tunesmith.train.evaluate.graders import make_graders, refuse_judge

    wanted = [name for name in names if name in GRADED]
    if not wanted:
        return scored
    refuse_judge(recipe.eval)
    graders = make_graders(recipe.eval, _marks(recipe, scored, rows), folder)
    found = {name: graders[name](scored) for name in wanted}
    return [
        replace(one, given={**one.given, **{name: values[index] for name, values in found.items()}})
        for index, one in enumerate(scored)
    ]


def _marks(recipe: Recipe, scored: Sequence[Scored], rows: Measurable) -> dict[str, dict[str, str]]:
    section = recipe.eval
    named = [name for name in (*section.columns, section.cluster, section.code.tests) if name is not None]
    pairs = zip(scored, rows.columns, strict=True)
    return {
        one.id: {name: "" if row[name] is None else str(row[name]) for name in named} for one, row in pairs
    }


def _summary(
    scored: Sequence[Scored], names: Sequence[str], recipe: Recipe, rows: Measurable
) -> tuple[dict[str, float], dict[str, Interval], list[str]]:
    from tunesmith.metrics.compute import load_metrics
    from tunesmith.prepare.eval_sets import EvalSets, clusters_of, slices_of
    from tunesmith.train.evaluate.evaluation import of_slices
    from tunesmith.train.evaluate.score import summarise_scores

    load_metrics(names)
    ids, marks, notes = [one.id for one in scored], _marks(recipe, scored, rows), []
    clusters = None
    slices: dict[tuple[str, str], Any] = {}
    for column in (recipe.eval.cluster, *recipe.eval.columns):
        try:
            if column == recipe.eval.cluster:
                clusters = clusters_of(ids, column, marks)
            else:
                slices |= slices_of(ids, recipe.eval.model_copy(update={"slices": column}), marks)
        except UserError as problem:
            notes.append(problem.what)
    metrics, intervals = summarise_scores(scored, names, clusters)
    if slices:
        more, bounds = of_slices(scored, names, EvalSets(clusters=clusters, slices=slices))
        metrics, intervals = metrics | more, intervals | bounds
    kept = {name: value for name, value in metrics.items() if "loss" in names or not _is_loss(name)}
    return kept, {name: ends for name, ends in intervals.items() if name in kept}, notes


def _is_loss(name: str) -> bool:
    return name.rpartition("/")[2].partition("[")[0] == "loss"


def _confusion(scored: Sequence[Scored], labels: Sequence[str]) -> Mapping[str, Any] | None:
    from tunesmith.metrics.compute import confusion_matrix

    if not labels:
        return None
    ours, theirs = [one.prediction for one in scored], [one.reference for one in scored]
    if not {*ours, *theirs} <= set(labels):  # several classes at once are none of them
        return None
    return {"labels": list(labels), "counts": confusion_matrix(labels, ours, theirs)}
