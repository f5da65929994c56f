"""Whether the packages of trackers are here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from tunesmith.errors import UserError
from tunesmith.recipe.schema.run import Tracker, TrackerName

_PACKAGES = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}


def refuse_missing_trackers(trackers: Sequence[TrackerName | Tracker]) -> None:
    """Make sure that every tracker's package is here.

    Raises:
        UserError: for the first that is not.
    """
    for one in map(whole_tracker, trackers):
        missing = [package for package in _PACKAGES[one.name] if not _is_here(package)]
        if missing:
            install = "pip install trackio" if one.name == "trackio" else "pip install 'tunesmith[trackers]'"
            raise UserError(
                f"tracker `{one.name}` needs the package `{missing[0]}`, which is not installed",
                "run.trackers",
                f"{install}, or take `{one.name}` away",
            )


def whole_tracker(one: TrackerName | Tracker) -> Tracker:
    """The settings of a tracker, also of one that is only named."""
    return one if isinstance(one, Tracker) else Tracker(name=one)


def _is_here(package: str) -> bool:
    """A folder of that name, such as W&B's own for its files, is no package."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
