"""Whether a task can give a metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunesmith.recipe.finding import any_of, nearest, shorten
from tunesmith.recipe.metric_names import GENERATION, TASK_METRICS, is_from_hub, is_pinned
from tunesmith.recipe.problem import Problem

Path = tuple[str | int, ...]


def check_metric(
    name: str, path: Path, task: str, at: Literal["key", "value"] = "value"
) -> Iterator[Problem]:
    """Yield why ``task`` cannot give the metric that stands at ``path``, if it cannot."""
    given = TASK_METRICS[task]
    if name in given or is_pinned(name):
        return
    if is_from_hub(name):
        what = f"metric `{shorten(name)}` is code from the hub and runs here, so that it needs its commit"
        yield Problem(
            path, what, "write `hub:NAME@COMMIT`, with the 40 hexadecimal digits of what you read", at
        )
        return
    if name in GENERATION:
        what = f"metric `{name}` compares generated text, which task `{task}` does not give"
    elif any(name in names for names in TASK_METRICS.values()):
        what = f"task `{task}` cannot give metric `{name}`"
    else:
        what = f"unknown metric `{shorten(name)}`"
    near = nearest(name, given)
    guess = f"did you mean `{near}`? This task gives" if near else "this task gives"
    yield Problem(path, what, f"{guess} {any_of(given, 'and')}", at)
