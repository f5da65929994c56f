"""One source of a recipe, read: which reader, and which settings it may have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunesmith.data.raw import Item, RawRows, gather, rows_of_mappings
from tunesmith.data.read_datasets import read_folder, read_hub, read_parquet, rows_of_dataset
from tunesmith.data.read_lines import read_json, read_jsonl, read_text
from tunesmith.data.read_tables import read_csv, read_tsv
from tunesmith.errors import UserError
from tunesmith.recipe.schema import Rows
from tunesmith.sources.address import HubAddress, PythonAddress
from tunesmith.sources.nearest import listed
from tunesmith.sources.python_rows import call_for_rows
from tunesmith.sources.resolve import resolve

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
}
_PACKED = frozenset({".gz", ".bz2", ".xz"})
_SETTINGS = {
    "columns": ("csv", "tsv"),
    "pattern": ("text",),
    "arguments": ("python",),
    "name": ("hf",),
    "split": ("hf",),
    "encoding": ("jsonl", "json", "csv", "tsv", "text"),
}


def read_rows(
    rows: Rows, *, label: str | None = None, folder: Path | None = None, where: str = ""
) -> RawRows:
    """Read one source.

    Args:
        rows: the recipe's description of it.
        label: the beginning of every row's id; default: the file's name.
        folder: the recipe's folder, for ``python:``; default: the working directory.
        where: the place in the recipe, for messages.

    Raises:
        UserError: the source cannot be opened or understood at all. Rows that cannot be read are not an
            error here; they are in ``skips``.
    """
    found = resolve(rows.source, revision=rows.revision, sha256=rows.sha256, kind="dataset", where=where)
    kind = _format(rows, found, where)
    _refuse_unused_settings(rows, kind, where)
    if isinstance(found, PythonAddress):
        name = label or f"{found.module}.{found.function}"
        made = call_for_rows(found, rows.arguments, folder or Path.cwd(), limit=rows.limit, where=where)
        items = rows_of_dataset(made, name) if hasattr(made, "features") else rows_of_mappings(made, name)
        return gather(items, str(found), folder, rows.limit)
    if isinstance(found, HubAddress):
        return gather(
            read_hub(found, label or found.name, rows.name, rows.split, where), str(found), None, rows.limit
        )
    items = _read_path(found, kind, rows, label or found.name, where)
    return gather(items, str(found), found if found.is_dir() else found.parent, rows.limit)


def _read_path(path: Path, kind: str, rows: Rows, label: str, where: str) -> Iterator[Item]:
    if kind == "hf":
        return read_folder(path, label, rows.name, rows.split, where)
    if kind == "parquet":
        return read_parquet(path, label)
    if kind == "json":
        return rows_of_mappings(read_json(path, label, rows.encoding), label)
    if kind == "csv":
        return read_csv(path, label, rows.encoding, rows.columns)
    if kind == "tsv":
        return read_tsv(path, label, rows.encoding, rows.columns)
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
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    kind = _SUFFIXES.get(suffixes[-1]) if suffixes else None
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
