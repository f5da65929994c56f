"""A configuration spelt out in a recipe: what no architecture of transformers can be built or stored with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunesmith.recipe.finding import shorten
from tunesmith.recipe.problem import Problem

_PATH = ("model", "new")
_OF_THE_DATA = ("num_labels", "id2label", "label2id", "problem_type")
_COUNTS = ("_layers", "_heads", "depths", "n_layer", "n_head")
_SIZES = ("_size", "_sizes", "_embeddings", "_positions", "n_embd", "n_positions")
_MOST_LAYERS, _LARGEST = 10_000, 10**9
_SEE = "see the architecture's configuration in transformers"


def check_new(settings: dict[str, Any]) -> Iterator[Problem]:
    """Yield values of ``model.new`` that are refused before anything is built.

    Transformers itself would build them and fail later: in the middle of the first step, or when the
    finished model is stored.
    """
    for name, value in settings.items():
        label = f"`model.new.{shorten(name)}`"
        if name in _OF_THE_DATA:
            yield Problem((*_PATH, name), f"{label} is known from the data", "take it away", "key")
        elif (wanted := _wanted(name)) is not None and not _fits(name, value):
            yield Problem((*_PATH, name), f"{label} must be {wanted}; got {shorten(str(value))}", _SEE)


def _wanted(name: str) -> str | None:
    """What values under such a name are, in words; None if nothing is known of it."""
    if name.endswith(_COUNTS):
        return f"from 1 to {_MOST_LAYERS:,}"
    if name.endswith(_SIZES):
        return f"from 1 to {_LARGEST:,}"
    if "dropout" in name:
        return "from 0 to 1"
    return "a token's number, from 0" if name.endswith("_token_id") else None


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, list):
        return bool(value) and all(_fits(name, one) for one in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return name.startswith(("use_", "tie_")) or "classifier" in name
    if "dropout" in name:
        return 0 <= value <= 1
    if name.endswith("_token_id"):
        return isinstance(value, int) and 0 <= value < _LARGEST
    return 1 <= value <= (_MOST_LAYERS if name.endswith(_COUNTS) else _LARGEST)
