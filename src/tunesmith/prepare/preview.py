"""Training examples as the model sees them: tokens, and whether each carries loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.data.clean.exclusions import without
from tunesmith.data.kinds.table import drawings_of
from tunesmith.prepare.base_model import on_base_model
from tunesmith.prepare.hardware import silence_libraries
from tunesmith.prepare.inputs import PreparedInputs, prepare
from tunesmith.prepare.trivial_baselines import PARTS, counts_words
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.locate import pointing

PREVIEWED = 4
Shown = tuple[list[dict[str, Any]], list[str], tuple[str, ...]]


def preview_rows(path: Path, overrides: Sequence[str] = (), count: int = PREVIEWED) -> Shown:
    """The first training examples of a recipe, how many rows each class has, and what to know of the data.

    Raises:
        UserError: for anything that the user must change.
    """
    silence_libraries()
    path = Path(path)
    recipe = on_base_model(load_recipe(path, overrides))
    with pointing(path, overrides):
        parts = prepare(recipe, path.resolve().parent)
    classes = [f"{PARTS[part]}: {counts_words(one)}" for part, one in parts.report.classes.items()]
    return preview(parts, count), classes, parts.report.notes


def drawings(parts: PreparedInputs) -> dict[str, dict[str, Any]]:
    """Row id to field to what is drawn of it, for the first rows; empty where there is nothing to draw."""
    found = {row.id: drawings_of(row) for row in parts.first}
    return {
        row_id: {name: drawing.to_dict() for name, drawing in drawn.items()}
        for row_id, drawn in found.items()
        if drawn
    }


def preview(parts: PreparedInputs, count: int = PREVIEWED) -> list[dict[str, Any]]:
    """The first training examples as the model sees them: tokens, and whether each carries loss."""
    return [
        {"id": example["id"], "tokens": [list(piece) for piece in parts.task.show(example)]}
        for example in without(parts.train, parts.order.excluded)[:count]
    ]
