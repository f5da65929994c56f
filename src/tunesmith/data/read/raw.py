"""What reading gives: rows as they stand in the source, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tunesmith.data.row import Skip


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the source.

    Attributes:
        id: ``<file name>:<line>``; counted from 1 for lines, from 0 for rows of Parquet, JSON, data sets
            and callables, as one would index them.
        columns: name to value.
    """

    id: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawRows:
    """One source, read.

    Attributes:
        place: path or address, for messages; a row's place is this, a colon, and the end of its id.
        folder: where relative paths inside the rows start, ``None`` if there is no such place.
        rows: in the order of the source.
        skips: blank lines (``empty``) and what could not be read (``malformed``).
        files: where a source has several files, the beginning of a row's id to its file.
        roots: folders of which paths inside the rows must not lead out; ``None``: they may name any file.
        taken: how the rows were chosen, where they are not all that there are: ``sample`` or ``first``.
        of: how many there are, if that is known.
    """

    place: str
    folder: Path | None
    rows: tuple[RawRow, ...]
    skips: tuple[Skip, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    roots: tuple[Path, ...] | None = None
    taken: Literal["", "sample", "first"] = ""
    of: int | None = None

    def columns(self) -> list[str]:
        """Every column that any row has, in order of appearance."""
        names: dict[str, None] = {}
        last: Any = None
        for row in self.rows:
            keys = row.columns.keys()
            if keys != last:
                names.update(dict.fromkeys(keys))
                last = keys
        return list(names)

    def where(self, row_id: str) -> str:
        """The place of one row: path and line."""
        label, _, line = row_id.rpartition(":")
        return f"{self.files.get(label, self.place)}:{line}"

    def folder_of(self, row_id: str) -> Path | None:
        """Where relative paths inside one row start."""
        file = self.files.get(row_id.rpartition(":")[0])
        return self.folder if file is None else file.parent


Item = RawRow | Skip


def rows_of_mappings(values: Iterable[Any], label: str, limit: int | None = None) -> Iterator[Item]:
    """Number values from 0; those that are no mappings are malformed."""
    for index, value in enumerate(islice(values, limit)):
        row_id = f"{label}:{index}"
        if isinstance(value, Mapping):
            yield RawRow(row_id, {str(key): part for key, part in value.items()})
        else:
            yield Skip(row_id, "malformed", not_a_mapping(value))


def not_a_mapping(value: object) -> str:
    """The reason why a value is no row."""
    names = {list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false"}
    kind = "null" if value is None else names.get(type(value), f"a {type(value).__name__}")
    return f"the row is {kind}, not a mapping of columns to values"
