"""Whether trackers can be reached as the recipe says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunesmith.recipe.finding import shorten
from tunesmith.recipe.problem import Problem
from tunesmith.recipe.schema import Tracker, TrackerName

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
