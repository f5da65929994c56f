"""What a data set says about itself is not followed out of its folder, nor to an address.

``README.md``, ``.huggingface.yaml``, ``state.json`` and ``dataset_dict.json`` may name files of data: such
names are looked at before anything is opened, and what they match once more afterwards.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError

CARDS = ("README.md", ".huggingface.yaml")
"""Where a data set describes itself."""
_MOST = 1 << 24
_NAMES = {"data_files", "data_dir"}


def roots_of(folder: Path) -> tuple[Path, ...]:
    """Folders that files of a data set may lie in: its own; of a snapshot in the hub's cache the blobs."""
    real = folder.resolve()
    blobs = real.parent.parent / "blobs"
    return (real, blobs) if real.parent.name == "snapshots" and blobs.is_dir() else (real,)


def refuse_leading_out(folder: Path, where: str) -> None:
    """Look at the names of files in a folder's own description.

    Raises:
        UserError: one leads out of the folder or is an address.
    """
    for name in CARDS:
        if (folder / name).is_file():
            refuse_card(card_text(folder / name, where), f"{folder / name}", where)
    for file in [folder / "state.json", folder / "dataset_dict.json", *sorted(folder.glob("*/state.json"))]:
        if file.is_file():
            _refuse_names(_saved_names(file, where), str(file), where)


def refuse_card(text: str, card: str, where: str) -> None:
    """Look at the configurations that a data set's card names, as text.

    Args:
        text: of ``README.md`` (YAML between two lines of dashes) or of a YAML file.
        card: its place, for the message.
        where: the place in the recipe, for the message.

    Raises:
        UserError: a file that they name lies outside or is an address, or they cannot be read.
    """
    import yaml

    if text.lstrip("\ufeff").startswith("---"):
        text = text.lstrip("\ufeff")[3:].partition("\n---")[0]
    elif card.endswith(".md"):
        return
    try:
        head = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"`{card}` begins with YAML that cannot be read: {reason}"[:300], where) from error
    configs = head.get("configs") if isinstance(head, Mapping) else None
    for config in configs if isinstance(configs, Sequence) and not isinstance(configs, str) else ():
        if isinstance(config, Mapping):
            named = [config[name] for name in _NAMES if name in config]
            _refuse_names(_strings(named, set()), card, where)


def refuse_files_outside(files: Sequence[str], roots: Sequence[Path], where: str) -> None:
    """Look at the files that were found, links followed.

    Raises:
        UserError: one lies elsewhere.
    """
    tops = [f"{root}{os.sep}" for root in roots]
    for file in files:
        if not os.path.realpath(file).startswith(tuple(tops)):
            raise UserError(
                f"`{file}` of the data set lies outside of its folder",
                where,
                "name it as a source of its own if it is wanted, or copy it into the folder",
            )


def _refuse_names(names: Iterator[str], card: str, where: str) -> None:
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "~", "\\")) or ".." in parts or "::" in name or ":" in parts[0]:
            raise UserError(
                f"`{card}` names `{name[:120]}`, which leads out of the data set's folder",
                where,
                "name that file as a source of its own if it is wanted, and take it out of the description",
            )


def _strings(value: Any, seen: set[int]) -> Iterator[str]:
    """Every text in a value; YAML's aliases may let one value stand in many places, and it is seen once."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
        seen.add(id(value))
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part, seen)


def _saved_names(file: Path, where: str) -> Iterator[str]:
    try:
        saved = json.loads(card_text(file, where))
    except (ValueError, RecursionError):
        return  # the library says what is wrong with it
    if isinstance(saved, Mapping):
        for name in ("_data_files", "_indices_files", "_indices_data_files", "splits"):
            yield from _strings(saved.get(name), set())


def card_text(file: Path, where: str) -> str:
    """The text of a short description.

    Raises:
        UserError: it is not short.
    """
    if file.stat().st_size > _MOST:
        raise UserError(
            f"`{file}` has more than {_MOST >> 20} MiB", where, "it should be a short description"
        )
    return file.read_text(encoding="utf-8", errors="replace")
