"""Metrics from a file beside the recipe: imported once, and told by the hash of the file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.metrics.names import USER_PREFIX, user_part
from tunesmith.metrics.user import user_metric
from tunesmith.recipe.check.metric_names import asked_metrics, set_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.own import own_parts
from tunesmith.sources.own_code import on_path, own_file, own_module
from tunesmith.suggest import nearest

WHERE = "eval.metrics"


def user_metrics(recipe: Recipe) -> list[str]:
    """The user's own metrics that a recipe names, for the evaluation set or a further one."""
    names = [
        *asked_metrics(recipe),
        *(name for each in recipe.eval.sets for name in set_metrics(recipe, each)),
    ]
    return [name for name in dict.fromkeys(names) if name.startswith(USER_PREFIX)]


def load_user_metrics(recipe: Recipe, folder: Path) -> None:
    """Import the files of the user's own metrics, so that ``find_metric`` knows them.

    Raises:
        UserError: a file is not beside the recipe, raises, or has no such metric.
    """
    for problem in missing_files(recipe, folder):
        raise problem
    for name in user_metrics(recipe):
        part = user_part(name)
        assert part is not None
        with on_path(folder):
            own_module(part.module, name, folder, WHERE, "mend that code")
        user_metric(name)


def missing_files(recipe: Recipe, folder: Path) -> list[UserError]:
    """What to say of the user's own metrics whose files are not beside the recipe."""
    found = []
    for name in user_metrics(recipe):
        part = user_part(name)
        if part is not None and own_file(part.module, folder) is None:
            close = nearest(part.module, [path.stem for path in folder.glob("*.py")])
            hint = f"did you mean `{close}`?" if close else f"put {part.module.replace('.', '/')}.py there"
            found.append(UserError(f"`{name}` names no file in the recipe's folder, {folder}", WHERE, hint))
    return found


def own_code_files(recipe: Recipe, folder: Path) -> dict[str, str]:
    """The files of the user's own task and metrics, by their names in its folder, with their SHA-256."""
    found = {}
    parts = [part.module for name in user_metrics(recipe) if (part := user_part(name)) is not None]
    if recipe.task.name.startswith(USER_PREFIX):
        parts.append(own_parts(recipe.task.name)[0])
    for module in parts:
        file = own_file(module, folder)
        if file is not None:
            found[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def code_digest(recipe: Recipe, folder: Path) -> str:
    """SHA-256, in hex, over the files of the user's own task and metrics; empty without any."""
    files = own_code_files(recipe, folder)
    lines = "".join(f"{digest} {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest() if files else ""
