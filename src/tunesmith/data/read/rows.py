"""One source of a recipe, read: which reader, and which settings it may have."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from tunesmith.data.read.bounds import room_for_rows, too_much
from tunesmith.data.read.confinement import roots_of
from tunesmith.data.read.datasets import hub_caches, read_hub, rows_of_dataset
from tunesmith.data.read.folder import begins_as_list, open_folder
from tunesmith.data.read.formats.conll import read_conll
from tunesmith.data.read.formats.lines import read_json, read_jsonl, read_text
from tunesmith.data.read.formats.parquet import read_parquet
from tunesmith.data.read.formats.tables import read_csv, read_tsv
from tunesmith.data.read.gather import gather
from tunesmith.data.read.raw import Item, RawRows, rows_of_mappings
from tunesmith.data.read.unpack import without_packing
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.sources.address import HubAddress, PythonAddress
from tunesmith.sources.file_glob import matching_files
from tunesmith.sources.python_rows import call_for_rows
from tunesmith.sources.resolve import resolve
from tunesmith.suggest import listed

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
    ".text": "text",
    ".conll": "conll",
    ".conllu": "conll",
}
_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar"})
_SETTINGS = {
    "columns": ("csv", "tsv", "conll"),
    "pattern": ("text",),
    "arguments": ("python",),
    "name": ("hf",),
    "split": ("hf",),
    "encoding": ("jsonl", "json", "csv", "tsv", "text", "conll"),
}


def read_rows(
    rows: Rows, *, label: str | None = None, folder: Path | None = None, where: str = "", seed: int = 0
) -> RawRows:
    """Read one source.

    Args:
        rows: the recipe's description of it.
        label: the beginning of every row's id; default: the file's name.
        folder: the recipe's folder, for ``python:``; default: the working directory.
        where: the place in the recipe, for messages.
        seed: decides which rows a `limit` keeps.

    Raises:
        UserError: the source cannot be opened or understood at all, or holds more than there is room for.
            Rows that cannot be read are not an error here; they are in ``skips``.
    """
    try:
        source = open_rows(rows, label, folder, where)
        found = gather(source.items, source.place, limit=rows.limit, first=rows.first, seed=seed)
    except MemoryError as error:
        raise too_much(rows.source, room_for_rows()) from error
    return RawRows(
        source.place,
        source.folder,
        found.rows,
        found.skips,
        files=source.files,
        roots=source.roots,
        taken=found.taken,
        of=found.of,
    )


def row_labels(all_rows: Sequence[Rows]) -> list[str]:
    """The beginning of row ids per source; empty, where the reader's own is unique."""
    names = [rows.source.removeprefix("python:").rstrip("/").rpartition("/")[2] for rows in all_rows]
    return [f"{name}#{number + 1}" if names.count(name) > 1 else "" for number, name in enumerate(names)]


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source that is open; the fields are those of ``RawRows``."""

    items: Iterable[Item]
    place: str
    folder: Path | None
    files: Mapping[str, Path] = field(default_factory=dict)
    roots: tuple[Path, ...] | None = None


def open_rows(rows: Rows, label: str | None, folder: Path | None, where: str) -> OpenSource:
    """Open one source; nothing is read yet. Arguments and errors are those of ``read_rows``."""
    matched = matching_files(rows.source, where)
    if matched is not None:
        if rows.sha256 is not None:
            raise UserError("`sha256` is of one file, and a pattern names several", where, "leave it out")
        return _open_files(matched, rows, label, where, str(Path(rows.source).expanduser()))
    found = resolve(rows.source, revision=rows.revision, sha256=rows.sha256, kind="dataset", where=where)
    kind = _format(rows, found, where)
    _refuse_unused_settings(rows, kind, where)
    if isinstance(found, PythonAddress):
        name = label or f"{found.module}.{found.function}"
        made = call_for_rows(
            found,
            rows.arguments,
            folder or Path.cwd(),
            limit=rows.first,
            sampled=rows.limit is not None,
            where=where,
        )
        items = rows_of_dataset(made, name) if hasattr(made, "features") else rows_of_mappings(made, name)
        return OpenSource(items, str(found), folder)
    if isinstance(found, HubAddress):
        items = read_hub(found, label or found.name, rows.name, rows.split, where)
        return OpenSource(items, str(found), None, roots=hub_caches())
    if found.is_dir():
        return _open_folder(found, rows, label, where)
    _refuse_no_file(found, where)
    return OpenSource(_read_file(found, kind, rows, label or found.name, where), str(found), found.parent)


def _open_folder(folder: Path, rows: Rows, label: str | None, where: str) -> OpenSource:
    opened = open_folder(folder, rows.name, rows.split, where)
    name = f"{label or folder.name}[{opened.split}]" if opened.split else label or folder.name
    if opened.files:
        chosen = rows.model_copy(update={"name": None, "split": None})
        source = _open_files(opened.files, chosen, label, where, str(folder), opened.kind)
        return replace(source, roots=roots_of(folder))
    return OpenSource(rows_of_dataset(opened.dataset, name), str(folder), folder, roots=roots_of(folder))


def _open_files(
    paths: Sequence[Path], rows: Rows, label: str | None, where: str, place: str, otherwise: str = ""
) -> OpenSource:
    """Several files as one source, each read as its name says."""
    top = Path(os.path.commonpath([path.parent for path in paths]))
    files = {
        f"{label}/{path.relative_to(top)}" if label else str(path.relative_to(top)): path for path in paths
    }
    kinds = {name: _format_of_file(rows, path, where, otherwise) for name, path in files.items()}
    for kind in dict.fromkeys(kinds.values()):
        _refuse_unused_settings(rows, kind, where)
    items = chain.from_iterable(
        _read_file(path, kinds[name], rows, name, where) for name, path in files.items()
    )
    return OpenSource(items, place, top, files)


def _format_of_file(rows: Rows, path: Path, where: str, otherwise: str) -> str:
    """The format that the recipe names, or that of the name; in a folder, a list may be meant by `.json`."""
    if rows.format not in {"auto", "hf"}:
        return rows.format
    kind = _SUFFIXES.get(Path(without_packing(path.name)).suffix.lower())
    if otherwise and (kind is None or (kind == "json" and not begins_as_list(path))):
        return "jsonl" if kind == "json" else otherwise
    return kind or _format_of_name(path, where)


def _refuse_no_file(path: Path, where: str) -> None:
    """A pipe would be waited for without an end, and could be read only once."""
    if not path.is_file():
        raise UserError(
            f"`{path}` is neither a file nor a folder",
            where,
            "write what it gives into a file, and name that",
        )


def _read_file(path: Path, kind: str, rows: Rows, label: str, where: str) -> Iterator[Item]:
    if kind == "parquet":
        return read_parquet(path, label)
    if kind == "json":
        return rows_of_mappings(read_json(path, label, rows.encoding), label)
    if kind == "csv":
        return read_csv(path, label, rows.encoding, rows.columns)
    if kind == "tsv":
        return read_tsv(path, label, rows.encoding, rows.columns)
    if kind == "conll":
        return read_conll(path, label, rows.encoding, rows.columns)
    if kind == "text":
        return read_text(path, label, rows.encoding, rows.pattern, where)
    return read_jsonl(path, label, rows.encoding)


def _format(rows: Rows, found: Path | HubAddress | PythonAddress, where: str) -> str:
    needed = {PythonAddress: "python", HubAddress: "hf"}.get(type(found))
    if needed is None and isinstance(found, Path) and found.is_dir():
        needed = "hf"
    if needed is not None:
        if rows.format not in {"auto", needed}:
            raise UserError(
                f"`{rows.source}` cannot be read as `format: {rows.format}`",
                where,
                f"leave `format` out ({needed})",
            )
        return needed
    if rows.format in {"hf", "python"}:
        raise UserError(
            f"`{rows.source}` is a file, not `format: {rows.format}`", where, "leave `format` out"
        )
    return rows.format if rows.format != "auto" else _format_of_name(Path(rows.source), where)


def _format_of_name(path: Path, where: str) -> str:
    suffix = Path(without_packing(path.name)).suffix.lower()
    kind = _SUFFIXES.get(suffix)
    if kind is None and suffix in _ARCHIVES:
        raise UserError(f"`{path.name}` is an archive, and those are not unpacked", where, "unpack it first")
    if kind is None:
        raise UserError(
            f"the ending of `{path.name}` says nothing about its format",
            where,
            f"set `format` to one of {listed(sorted(set(_SUFFIXES.values())))}",
        )
    return kind


def _refuse_unused_settings(rows: Rows, kind: str, where: str) -> None:
    defaults = Rows(source=rows.source)
    for setting, kinds in _SETTINGS.items():
        if getattr(rows, setting) != getattr(defaults, setting) and kind not in kinds:
            raise UserError(
                f"`{setting}` means nothing for `format: {kind}`",
                where,
                f"it is for {listed(kinds)}; leave it out, or set `format`",
            )
    if rows.columns is not None and len(set(rows.columns)) != len(rows.columns):
        raise UserError("`columns` names a column twice", where, "give each column its own name")
