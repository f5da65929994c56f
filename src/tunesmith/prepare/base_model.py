"""A base model that another recipe makes; what a finished run says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.plain_file import read_plain
from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A recipe to be run.

    Attributes:
        recipe: resolved.
        folder: of its file.
        source: its file as the next recipe names it, which starts from the model that it makes; empty for
            a recipe that was asked for.
        file: its file as it is named here.
        overrides: of it, ``key.path=value``.
    """

    recipe: Recipe
    folder: Path
    source: str = ""
    file: Path = field(kw_only=True)
    overrides: tuple[str, ...] = field(kw_only=True, default=())


def base_models_first(asked: PlannedRun) -> tuple[PlannedRun, ...]:
    """The recipe, and before it those that make the models it starts from, in the order in which they run.

    Raises:
        UserError: every mistake in one of them, or if one starts from itself.
    """
    found = [asked]
    while is_recipe(source := found[0].recipe.model.source or ""):
        if Path(source).resolve() in {Path(one.source).resolve() for one in found if one.source}:
            raise UserError(
                "the base model is made by a recipe that starts from its own model",
                source,
                "name a model, or another recipe, in its `model.source`",
            )
        file = Path(source)
        found.insert(0, PlannedRun(load_recipe(file), file.parent, source, file=file))
    return tuple(found)


def finished_before(run_dir: Path) -> str | None:
    """What a finished run says of itself; ``None`` if there is something left to do."""
    path = run_dir / "result.json"
    if not path.exists():
        return None
    result = read_object(path)
    if result.get("status") not in ("completed", "stopped"):
        return None
    stop = result.get("stop")
    reason = stop.get("reason") if isinstance(stop, dict) else result["status"]
    return (
        f"already finished: {reason}\n"
        f"model   {run_dir / 'model'}\nreport  {run_dir / 'report.html'}\n"
        "`--fresh` runs it again in a new directory"
    )


def on_base_model(recipe: Recipe) -> Recipe:
    """The recipe with the base model that another recipe made, if it names one.

    Raises:
        UserError: if that one has not been run.
    """
    source = recipe.model.source
    if source is None or not is_recipe(source):
        return recipe
    folder = Path(str(load_recipe(Path(source)).run.dir)).resolve()
    if finished_before(folder) is None:
        raise UserError(
            "the base model is made by another recipe, which has not been run here",
            source,
            f"run it first, `tunesmith run {source}`; a run of this recipe does that by itself",
        )
    model = recipe.model.model_copy(update={"source": str(folder / "model")})
    return recipe.model_copy(update={"model": model})


def read_object(path: Path) -> dict[str, Any]:
    """The content of a file that a run wrote whole.

    Raises:
        UserError: if it is not what a run writes.
    """
    try:
        value = json.loads(read_plain(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError(
            "the file is damaged, or was changed by hand",
            str(path),
            "restore it from a backup, or start over in a new directory with `--fresh`",
        )
    return value


def is_recipe(source: str) -> bool:
    """Whether a model's source is the recipe that makes it."""
    return source.endswith((".yaml", ".yml"))
