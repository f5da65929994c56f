"""What a recipe names on this machine, looked at for mistakes: rows, configuration, packages. No weights."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.prepare.check.model import check_model
from tunesmith.prepare.check.rows import check_rows
from tunesmith.prepare.user_metrics import missing_files, user_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.own import UNREAD
from tunesmith.recipe.tasks.table import spec_of


def check_inputs(recipe: Recipe, folder: Path) -> tuple[list[UserError], list[str]]:
    """Everything that a run would refuse, as far as headers of files and a configuration tell.

    Args:
        recipe: resolved.
        folder: of the recipe's file.

    Returns:
        The mistakes, and what was not looked at, with the reason.
    """
    if spec_of(recipe.task) is UNREAD:
        return missing_packages(recipe), [f"`{recipe.task.name}` is code, which is not called"]
    of_metrics = missing_files(recipe, folder)
    uncalled = [f"`{name}` is code, which is not called" for name in user_metrics(recipe)]
    of_rows, unseen_rows = check_rows(recipe, folder)
    of_model, unseen_model = check_model(recipe)
    return [*of_metrics, *of_rows, *of_model, *missing_packages(recipe)], [
        *unseen_rows,
        *unseen_model,
        *uncalled,
    ]


def missing_packages(recipe: Recipe) -> list[UserError]:
    """Optional packages that the recipe needs and that are not here."""
    needed = {
        "model.quantize": ("bitsandbytes", "tunesmith[quantized]") if recipe.model.quantize else None,
        "eval.harness": ("lm_eval", "tunesmith[harness]") if recipe.eval.harness else None,
    }
    return [
        UserError(
            f"`{where}` needs the package `{pair[0]}`, which is not installed",
            where,
            f"pip install '{pair[1]}', or take `{where}` away",
        )
        for where, pair in needed.items()
        if pair is not None and find_spec(pair[0]) is None
    ]
