"""What reading gives: rows as they stand in the source, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

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
    """

    place: str
    folder: Path | None
    rows: tuple[RawRow, ...]
    skips: tuple[Skip, ...]

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
        return f"{self.place}:{row_id.rpartition(':')[2]}"


Item = RawRow | Skip


def gather(items: Iterable[Item], place: str, folder: Path | None, limit: int | None) -> RawRows:
    """Sort what a reader yields into rows and skips, and stop after ``limit`` rows."""
    rows: list[RawRow] = []
    skips: list[Skip] = []
    for item in _until(items, limit):
        if isinstance(item, RawRow):
            rows.append(item)
        else:
            skips.append(item)
    return RawRows(place, folder, tuple(rows), tuple(skips))


def _until(items: Iterable[Item], limit: int | None) -> Iterator[Item]:
    if limit is None:
        yield from items
        return
    taken = 0
    for item in items:
        yield item
        taken += isinstance(item, RawRow)
        if taken == limit:
            return


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
