"""Whether a task can give a metric."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from tunesmith.metrics.names import (
    HARNESS,
    USER_PREFIX,
    WORST,
    Slice,
    class_part,
    slice_name,
    slice_of,
    split_name,
    user_part,
)
from tunesmith.recipe.check.metric_names import (
    contrasts,
    is_from_hub,
    is_pinned,
    is_position,
    label_columns,
)
from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.language import GENERATION, GRADED
from tunesmith.recipe.tasks.spec import TaskSpec
from tunesmith.recipe.tasks.table import TASKS, spec_of
from tunesmith.suggest import any_of, nearest, shorten

Path = tuple[str | int, ...]
_SET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_NOT_A_SET = ("worst", HARNESS, "hub", "evaluate", "train", "test", "eval")


def check_rule_metric(
    name: str, path: Path, recipe: Recipe, at: Literal["key", "value"] = "value"
) -> Iterator[Problem]:
    """The same for a metric that a rule names, which may be one of a further set, or of the worst slice."""
    where, metric = split_name(name)
    sets, task = list(recipe.eval.sets), spec_of(recipe.task)
    if (part := slice_of(name)) is not None:
        yield from _slice(name, part, path, recipe, at)
    elif where == WORST and not recipe.eval.columns:
        what = f"`{shorten(name)}` needs `eval.slices`, the column whose values are measured apart"
        yield Problem(path, what, "add `eval: {slices: COLUMN}`", at)
    elif where == WORST and recipe.eval.subset == "auto":
        what = f"`{shorten(name)}` needs every row, and `eval.subset: auto` measures on few of them"
        yield Problem(path, what, "take `eval.subset` away", at)
    elif where == WORST and contrasts(metric) and set(recipe.eval.columns) <= label_columns(recipe):
        yield _of_one_label(name, metric, recipe.eval.columns[0], path, at)
    elif where == HARNESS:
        if not recipe.eval.harness:
            what = f"`{shorten(name)}` needs `eval.harness`, the tasks of lm-evaluation-harness"
            yield Problem(path, what, "add `eval: {harness: [TASK]}`", at)
    elif where and where != WORST and where not in sets:
        near = nearest(where, sets)
        what = f"`{shorten(name)}`: there is no evaluation set `{shorten(where)}` in `eval.sets`"
        hint = f"did you mean `{near}/{metric}`?" if near else "add it to `eval.sets`: its name and its rows"
        yield Problem(path, what, hint, at)
    else:
        yield from check_metric(metric, path, task, at)


def _slice(
    name: str, part: Slice, path: Path, recipe: Recipe, at: Literal["key", "value"]
) -> Iterator[Problem]:
    columns = recipe.eval.columns
    if recipe.eval.positions and is_position(name):
        return
    if part.column not in columns:
        near = nearest(part.column, columns)
        what = f"`{shorten(name)}` needs `{shorten(part.column)}` among `eval.slices`, the columns told apart"
        guess = f"did you mean `{slice_name(part.metric, near, part.value)}`?" if near else ""
        if f"{part.metric}[CLASS]" in spec_of(recipe.task).metrics and part.column in ("class", "label"):
            guess = f"of one class it is `{part.metric}[{part.value}]`"
        yield Problem(path, what, guess or f"add `eval: {{slices: {shorten(part.column)}}}`", at)
    elif recipe.eval.subset == "auto":
        what = f"`{shorten(name)}` needs every row, and `eval.subset: auto` measures on few of them"
        yield Problem(path, what, "take `eval.subset` away", at)
    elif contrasts(part.metric) and part.column in label_columns(recipe):
        yield _of_one_label(name, part.metric, part.column, path, at)
    else:
        yield from check_metric(part.metric, path, spec_of(recipe.task), at)


def _of_one_label(name: str, metric: str, column: str, path: Path, at: Literal["key", "value"]) -> Problem:
    what = (
        f"`{shorten(name)}` means nothing: all rows of a slice by `{shorten(column)}` have the same label or "
        f"target, and {metric} is made of how well different ones are told apart"
    )
    instead = f"`accuracy[{column}=VALUE]` is that label's recall" if metric != "pearson" else "`mse` can be"
    return Problem(path, what, f"slice by another column, or ask for another metric: {instead}", at)


def check_set_name(name: str) -> str | None:
    """Why a further evaluation set cannot have this name; ``None`` if it can."""
    if name in _NOT_A_SET:
        return f"`{name}` has a meaning of its own and cannot be the name of an evaluation set"
    if not _SET_NAME.fullmatch(name):
        return f"`{shorten(name)}` cannot be the name of an evaluation set"
    return None


def check_metric(
    name: str, path: Path, task: TaskSpec, at: Literal["key", "value"] = "value"
) -> Iterator[Problem]:
    """Yield why ``task`` cannot give the metric that stands at ``path``, if it cannot."""
    given = task.metrics
    part = class_part(name)
    if (f"{part[0]}[CLASS]" if part else name) in given or is_pinned(name):
        return
    if f"{name}[CLASS]" in given:
        averages = [one for one in given if one.endswith(f"_{name}")]
        what = f"metric `{name}` is of one class here, and none is named"
        yield Problem(path, what, f'write `"{name}[LABEL]"`, or {any_of(averages)}', at)
        return
    if name.startswith(USER_PREFIX):
        if user_part(name) is None:
            what = f"`{shorten(name)}` names no metric of your own"
            hint = "write `python:MODULE:NAME`, for NAME in MODULE.py beside the recipe"
            yield Problem(path, what, hint, at)
        return
    if is_from_hub(name):
        what = f"metric `{shorten(name)}` is code from the hub and runs here, so that it needs its commit"
        yield Problem(
            path, what, "write `hub:NAME@COMMIT`, with the 40 hexadecimal digits of what you read", at
        )
        return
    if name in GENERATION + GRADED:
        what = f"metric `{name}` looks at generated text, which task `{task.name}` does not give"
    elif any(name in spec.metrics for spec in TASKS.values()):
        what = f"task `{task.name}` cannot give metric `{name}`"
    else:
        what = f"unknown metric `{shorten(name)}`"
    near = nearest(name, given)
    guess = f"did you mean `{near}`? This task gives" if near else "this task gives"
    yield Problem(path, what, f"{guess} {any_of(given, 'and')}", at)
