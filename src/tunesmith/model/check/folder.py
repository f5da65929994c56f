"""A model's folder looked at before a library reads it: nothing outside of it, nothing without an end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tunesmith.errors import UserError

MOST_LAYERS = 2000
"""Of any kind in one model; the deepest known have some hundreds, and each is an object to be made."""
MOST_EXPERTS = 10_000
MOST_LABELS = 200_000
"""Transformers names and sorts them whenever it writes a configuration; so many take 10 s."""
_LAYERS = re.compile(r"(^|_)(n_)?(layers?|depths?|blocks?)$")
_EXPERTS = re.compile(r"(^|_)experts?$")
_LABELS = re.compile(r"^(num_labels|id2label|label2id)$")
_READ = (".json", ".safetensors", ".gguf", ".jinja", ".model", ".txt", ".bin")
_MOST_BYTES = 64 << 20


def refuse_odd_folder(folder: Path, where: str = "model.source") -> None:
    """Refuse a folder whose files would hang a reader, lead it elsewhere, or describe a model without end.

    Raises:
        UserError: if a file that is read is a pipe or a device, an index names files outside of the
            folder, or ``config.json`` asks for more layers than any model has.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(
            f"`{folder}` cannot be read: {error.strerror or error}", where, "see its owner and permissions"
        ) from error
    for path in entries:
        if path.name.endswith(_READ) and path.exists() and not path.is_file() and not path.is_dir():
            raise UserError(f"`{path}` is no file but a pipe or a device", where, "copy the folder again")
        if path.name.endswith(".index.json"):
            refuse_outside(path, where)
    config = folder / "config.json"
    if config.is_file():
        refuse_endless(_mapping(config), str(config), where)


def refuse_outside(index: Path, where: str = "model.source") -> None:
    """Refuse an index of weights that names anything but files below its own folder.

    Raises:
        UserError: if it does, or is no index.
    """
    names = _mapping(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UserError(f"`{index}` is no index of weights", where, "copy the folder again")
    for name in sorted(set(names.values())):
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise UserError(
                f"`{index.name}` names weights outside of the model's folder: `{name[:80]}`",
                where,
                "a model's index names files of its own folder; take the model from elsewhere",
            )


def refuse_endless(settings: Mapping[str, Any], what: str, where: str) -> None:
    """Refuse a configuration with more layers, experts or labels than could be made in a reasonable time.

    Args:
        settings: as ``config.json`` or ``model.new`` has them.
        what: names them in the message.
        where: they stand in the recipe.

    Raises:
        UserError: if there are too many, with their key.
    """
    for key, count in _counts(settings):
        most = _most(key)
        if count > most:
            raise UserError(
                f"`{key}: {count}` in `{what}` asks for more than the {most:,} that are built at most",
                where,
                "no known model has so many; copy its config.json again, or correct the number",
            )


def _most(key: str) -> float:
    """How many of what a key counts are built at most; infinite if it counts none of these."""
    kinds = ((_LAYERS, MOST_LAYERS), (_EXPERTS, MOST_EXPERTS), (_LABELS, MOST_LABELS))
    return next((most for pattern, most in kinds if pattern.search(key)), float("inf"))


def _counts(settings: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    counted = _most(key) < float("inf")
    if _LABELS.search(key) and isinstance(settings, Mapping):
        yield key, len(settings)
    elif isinstance(settings, Mapping):
        for name, value in settings.items() if depth < 8 else ():
            yield from _counts(value, str(name), depth + 1)
    elif counted and isinstance(settings, int | float):
        yield key, settings
    elif counted and isinstance(settings, list | tuple):
        yield key, sum(value for value in settings if isinstance(value, int | float))


def _mapping(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty if it is none, which those say who open the model."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
