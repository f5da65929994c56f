"""Tables in text: cells parted by commas, with quotes, or by tabs, without."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunesmith.data.read.bounds import MOST_CELL
from tunesmith.data.read.decode import checked_lines, decoded_lines, problem_of
from tunesmith.data.read.raw import Item, RawRow
from tunesmith.data.row import Skip
from tunesmith.errors import UserError
from tunesmith.suggest import listed


def read_tsv(path: Path, label: str, encoding: str, columns: Sequence[str] | None) -> Iterator[Item]:
    """Tab-separated values. Quotes mean nothing here: a cell may begin with one and never end it."""
    names = tuple(columns) if columns else None
    for one in checked_lines(path, label, encoding):
        if isinstance(one, Skip):
            yield one
            continue
        row_id, number, line = one
        if names is None:
            names = _header(line.split("\t"), path, number)
        else:
            yield _cells_row(row_id, line.split("\t"), names)


def read_csv(path: Path, label: str, encoding: str, columns: Sequence[str] | None) -> Iterator[Item]:
    """Comma-separated values after RFC 4180: quoted cells may hold commas, quotes (doubled) and line ends.

    A row's number is that of its first line.
    """
    names = tuple(columns) if columns else None
    numbers = _Numbered(decoded_lines(path, encoding))
    reader = csv.reader(numbers, strict=True)
    with _long_cells():
        while True:
            numbers.first = True
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Skip(f"{label}:{numbers.start}", "malformed", f"{error}; look for an unpaired quote")
                continue
            row_id = f"{label}:{numbers.start}"
            if not any(cell.strip() for cell in cells):
                yield Skip(row_id, "empty", "blank line")
            elif (problem := problem_of("".join(cells), encoding)) is not None:
                yield Skip(row_id, "malformed", problem)
            elif names is None:
                names = _header(cells, path, numbers.start)
            else:
                yield _cells_row(row_id, cells, names)


class _Numbered:
    """Lines for ``csv.reader``, remembering where the row that it reads began."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self.lines = lines
        self.first = True
        self.start = 0

    def __iter__(self) -> _Numbered:
        return self

    def __next__(self) -> str:
        number, line = next(self.lines)
        if self.first:
            self.start = number
            self.first = False
        return line + "\n"


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift csv's limit of 128 KiB a cell, which is the whole process's, for as long as we read."""
    before = csv.field_size_limit(MOST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _header(cells: list[str], path: Path, number: int) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"the header names {listed(twice)} twice",
            f"{path}:{number}",
            "rename one; if the file has no header, name its `columns`",
        )
    return names


def _cells_row(row_id: str, cells: list[str], names: tuple[str, ...]) -> Item:
    if cells[0] == names[0] and tuple(cells) == names:
        return Skip(
            row_id,
            "malformed",
            "the line repeats the names of the columns; is it a header? leave `columns` out",
        )
    if len(cells) != len(names):
        return Skip(
            row_id, "malformed", f"{len(cells)} cells for the {len(names)} columns {listed(names, 6)}"
        )
    return RawRow(row_id, dict(zip(names, cells, strict=True)))
