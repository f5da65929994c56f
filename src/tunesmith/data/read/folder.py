"""A folder of data: which of its files are rows, and in which split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.read.confinement import refuse_files_outside, refuse_leading_out, roots_of
from tunesmith.data.read.datasets import choose_split, refuse_unplain
from tunesmith.data.read.unpack import open_bytes, without_packing
from tunesmith.errors import UserError
from tunesmith.suggest import listed

_READ_HERE = {"csv": "csv", "json": "jsonl", "parquet": "parquet", "text": "text"}
"""Builders of ``datasets`` whose files are read here, and the format if a file's ending says none."""
_TABLES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"})
_ARCHIVES = (".zip", ".tar", ".tgz", ".rar", ".7z")
_OWN = frozenset({"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"})


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """What was found in a folder.

    Attributes:
        files: of rows, to be read one by one; empty if ``dataset`` holds the rows.
        kind: format of those whose ending says nothing.
        dataset: a ``datasets.Dataset``.
        split: which one was chosen, if there are any.
    """

    files: Sequence[Path] = ()
    kind: str = ""
    dataset: Any = None
    split: str | None = None


def open_folder(folder: Path, name: str | None, split: str | None, where: str) -> OpenFolder:
    """A folder written by ``save_to_disk``, or one of data files as the hub knows them.

    Raises:
        UserError: it is neither, has several splits and none is named, names files outside of itself, or
            holds rows in several formats, of which some would be left out.
    """
    import datasets

    refuse_leading_out(folder, where)
    saved = any((folder / file).exists() for file in ("dataset_dict.json", "state.json"))
    try:
        if saved:
            _refuse_linked(folder, where)
            chosen, split = choose_split(datasets.load_from_disk(str(folder)), split, str(folder), where)
            return OpenFolder(dataset=chosen, split=split)
        builder = datasets.load_dataset_builder(str(folder), name)
        files = _files_of(builder)
        kind = refuse_unplain(builder, where)
        _refuse_unsafe(folder, files, where)
        if kind in _READ_HERE:
            _refuse_left_out(folder, files, where)
        if kind in _READ_HERE and _is_plain(builder.config):
            chosen, split = choose_split(files, split, str(folder), where)
            return OpenFolder(files=[Path(file) for file in chosen], kind=_READ_HERE[kind], split=split)
        chosen, split = choose_split(datasets.load_dataset(str(folder), name), split, str(folder), where)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"the folder `{folder}` is not a data set: {reason[:200]}",
            where,
            "name one file in it or several by a pattern (`./folder/*.jsonl`), or save it with "
            "`Dataset.save_to_disk`",
        ) from error
    return OpenFolder(dataset=chosen, split=split)


def begins_as_list(path: Path) -> bool:
    """Whether a file's first sign is an opening bracket, as that of a JSON list is."""
    try:
        with open_bytes(path) as file:
            return file.read(4096).decode("utf-8-sig", "replace").lstrip()[:1] == "["
    except (OSError, EOFError):
        return False


def _files_of(builder: Any) -> Mapping[str, list[str]]:
    return {
        str(split): [str(file) for file in files]
        for split, files in (builder.config.data_files or {}).items()
    }


def _is_plain(config: Any) -> bool:
    """Whether a configuration says nothing but which files there are; other settings the library follows."""
    usual = type(config)(name=config.name, data_files=config.data_files)
    shown = {name: value for name, value in vars(config).items() if name not in {"version", "description"}}
    separator = {"sep"} if str(shown.get("sep")) == "\t" else set()  # for .tsv, which is read as such
    return all(getattr(usual, name, None) == value for name, value in shown.items() if name not in separator)


def _refuse_unsafe(folder: Path, files: Mapping[str, list[str]], where: str) -> None:
    every = [file for some in files.values() for file in some]
    refuse_files_outside(every, roots_of(folder), where)
    archives = [file for file in every if file.lower().endswith(_ARCHIVES)]
    if archives:
        raise UserError(
            f"`{archives[0]}` is an archive, and those are not unpacked", where, "unpack it in the folder"
        )


def _refuse_linked(folder: Path, where: str) -> None:
    """Of a saved data set, no file is a link to elsewhere."""
    arrows = [str(file) for pattern in ("*.arrow", "*/*.arrow") for file in folder.glob(pattern)]
    refuse_files_outside(arrows, roots_of(folder), where)


def _refuse_left_out(folder: Path, files: Mapping[str, list[str]], where: str) -> None:
    """The library reads the commonest format of a folder alone, and says nothing of the others."""
    known = {os.path.realpath(file) for some in files.values() for file in some}
    formats = {_table_ending(file) for file in known}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for name in names:
            path = Path(place, name)
            ending = _table_ending(name)
            if name.startswith(".") or name in _OWN or ending not in _TABLES or ending in formats:
                continue
            if os.path.realpath(path) not in known and (ending != ".json" or begins_as_list(path)):
                shown = sorted(one for one in formats if one)
                raise UserError(
                    f"the folder `{folder}` holds rows in several formats: beside those in {listed(shown)}, "
                    f"`{path.relative_to(folder)}` would be left out",
                    where,
                    "name the files that are meant by a pattern, e.g. `./folder/*.csv`",
                )


def _table_ending(name: str) -> str:
    return Path(without_packing(name)).suffix.lower()
