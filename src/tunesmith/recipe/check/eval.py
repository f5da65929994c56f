"""Rules across keys for what is measured, when a run stops, and the schedule that leads there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunesmith.recipe.check.graders import check_graded
from tunesmith.recipe.check.metric import check_metric, check_set_name
from tunesmith.recipe.check.stop import check_stop
from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.eval import Eval, Generate
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.run import Tracker, TrackerName
from tunesmith.recipe.schema.stop import Budget, binding, paths
from tunesmith.recipe.tasks.table import spec_of, tasks_with
from tunesmith.suggest import shorten


def check_goal(recipe: Recipe) -> Iterator[Problem]:
    """Yield what cannot work in ``eval``, ``stop`` and the schedule."""
    yield from _eval(recipe)
    if not recipe.stop:
        hint = "add `- budget: {epochs: 3}`, or leave `stop` out for just that"
        yield Problem(("stop",), "`stop` is empty", hint, "key")
    yield from check_stop(recipe)
    yield from _schedule(recipe)


def _eval(recipe: Recipe) -> Iterator[Problem]:
    names = recipe.eval.metrics
    for index, name in enumerate(names):
        yield from check_metric(name, ("eval", "metrics", index), spec_of(recipe.task))
        if name in names[:index]:
            yield Problem(
                ("eval", "metrics", index), f"metric `{shorten(name)}` stands twice", "take one away"
            )
    yield from _beside(recipe)
    yield from _sets(recipe)
    yield from _columns(recipe)
    yield from check_graded(recipe)
    if recipe.eval.generate != Generate() and (others := tasks_with("generate", recipe.task)):
        what = f"`eval.generate` is for task {others}; `{recipe.task.name}` generates nothing"
        yield Problem(("eval", "generate"), what, "take it away", "key")
    if recipe.run.save_every is not None and recipe.run.save_every.auto:
        what = "`run.save_every: auto` means nothing: checkpoints follow `eval.every` where it is left out"
        yield Problem(("run", "save_every"), what, "take it away, or write e.g. `100 steps`", "key")


def _beside(recipe: Recipe) -> Iterator[Problem]:
    """What an evaluation beside training cannot know when it is made."""
    section, mode = recipe.eval, recipe.eval.mode
    if mode == "inline":
        if section.ahead != Eval().ahead:
            what = "`eval.ahead` means nothing with `eval.mode: inline`: training waits for each evaluation"
            yield Problem(("eval", "ahead"), what, "take it away, or write `eval.mode: async`", "key")
        return
    if section.every.auto:
        what = f"`eval.every: auto` spends little of training's time, and `{mode}` evaluations spend none"
        yield Problem(("eval", "every"), what, "write e.g. `every: 50 steps`")
    if section.subset == "auto":
        what = f"`eval.subset: auto` needs the evaluation before, and `{mode}` ones may not know it yet"
        yield Problem(("eval", "subset"), what, "take it away: beside training, all rows cost no time")
    if recipe.run.average is not None:
        what = (
            f"`run.average` averages to the step at which training ends; with `{mode}` it ends a little later"
        )
        yield Problem(("run", "average"), what, "take it away, or write `eval.mode: inline`", "key")


def _sets(recipe: Recipe) -> Iterator[Problem]:
    for name, section in recipe.eval.sets.items():
        path = ("eval", "sets", name)
        trouble = check_set_name(name)
        if trouble is not None:
            yield Problem(path, trouble, "use letters, digits, `-` and `_`, a letter first", "key")
        for index, metric in enumerate(section.metrics):
            yield from check_metric(metric, (*path, "metrics", index), spec_of(recipe.task))


def _columns(recipe: Recipe) -> Iterator[Problem]:
    columns = recipe.eval.columns
    for index, column in enumerate(columns):
        place: tuple[str | int, ...] = ("eval", "slices")
        path = place if isinstance(recipe.eval.slices, str) else (*place, index)
        if not column.strip() or any(sign in column for sign in "[]="):
            what = f"`{shorten(column)}` cannot be a column of `eval.slices`"
            yield Problem(path, what, "rename the column: slices are named METRIC[COLUMN=VALUE]")
        elif column in columns[:index]:
            yield Problem(path, f"`{shorten(column)}` stands twice in `eval.slices`", "take one away")


def _schedule(recipe: Recipe) -> Iterator[Problem]:
    """A schedule must know where it ends; without any budget the default one of three epochs holds."""
    optimizer = recipe.optimizer
    budgets = [
        one for one in (rule.budget for rule in binding(recipe.stop)) if one is not None and one != Budget()
    ]
    countable = [one for one in budgets if one.steps or one.epochs or one.tokens]
    if budgets and not countable and optimizer.schedule != "constant":
        what = (
            f"schedule `{optimizer.schedule}` must know how many steps there are, and time alone does not say"
        )
        hint = "add `steps`, `epochs` or `tokens` to the budget, or write `schedule: constant`"
        yield Problem(("optimizer", "schedule"), what, hint)
    constant = optimizer.schedule == "constant"
    for path, rule in () if constant else paths(recipe.stop):
        if rule.forecast is not None:
            what = f"a forecast reads the curve, and schedule `{optimizer.schedule}` bends it late in the run"
            hint = "write `optimizer.schedule: constant`, or take the forecast away"
            yield Problem((*path, "forecast"), what, hint, "key")
    if constant and optimizer.final_learning_rate > 0:
        what = "`optimizer.final_learning_rate` means nothing with `schedule: constant`"
        yield Problem(("optimizer", "final_learning_rate"), what, "take it away", "key")
    if optimizer.warmup >= 1 and not optimizer.warmup.is_integer():
        what = f"`optimizer.warmup` must be a share below 1 or whole steps; got {optimizer.warmup:g}"
        yield Problem(("optimizer", "warmup"), what, f"write {optimizer.warmup:.0f}")
    for beta in optimizer.betas:
        if not 0 <= beta < 1:
            what = f"`optimizer.betas` must be from 0 to below 1; got {beta:g}"
            yield Problem(("optimizer", "betas"), what, "the usual ones: [0.9, 0.999]", "key")


_PROJECT = re.compile(r"[A-Za-z0-9][\w. /-]{0,99}")
_ADDRESS = re.compile(r"(?:https?://[^\s/]+|(?:sqlite|postgresql|mysql|mssql)(?:\+\w+)?://|databricks).*")


def check_trackers(trackers: Sequence[TrackerName | Tracker]) -> Iterator[Problem]:
    """Yield what cannot work in ``run.trackers``."""
    names: list[str] = []
    for index, one in enumerate(trackers):
        path = ("run", "trackers", index)
        name = one.name if isinstance(one, Tracker) else one
        if name in names:
            yield Problem(path, f"tracker `{name}` stands twice", "take one away")
        names.append(name)
        if isinstance(one, Tracker):
            yield from _settings(one, path)


def _settings(one: Tracker, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if one.project is not None and not _PROJECT.fullmatch(one.project):
        what = f"`{shorten(one.project)}` cannot be the name of a project"
        yield Problem((*path, "project"), what, "use letters, digits, blanks, `-`, `_`, `.` and `/`")
    if one.address is not None and one.name != "mlflow":
        what = f"`address` is for `mlflow`; `{one.name}` has none here"
        hints = {
            "wandb": "name a server in the environment: WANDB_BASE_URL, and WANDB_MODE=online",
            "trackio": "name a server or space in the environment: TRACKIO_SERVER_URL, TRACKIO_SPACE_ID",
            "tensorboard": "take it away: its files lie in the run directory",
        }
        yield Problem((*path, "address"), what, hints[one.name], "key")
    elif one.address is not None and not _ADDRESS.fullmatch(one.address):
        what = f"`{shorten(one.address)}` is not the address of an MLflow server"
        yield Problem(
            (*path, "address"), what, "write e.g. `http://127.0.0.1:5000` or `sqlite:////a/path.db`"
        )
