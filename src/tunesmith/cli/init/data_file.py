"""The user's data file, looked at: columns and first rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.cli.init.infer_task import KNOWN_NAMES
from tunesmith.data.map.columns import seems_a_row
from tunesmith.errors import UserError
from tunesmith.suggest import nearest

LOOKED_AT = 1000
"""Rows that are read to judge a file."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """What was seen of the user's data: up to ``LOOKED_AT`` rows, and whether these are all.

    Attributes:
        path: of the file or folder.
        columns: their names.
        rows: column to value.
        skipped: rows that cannot be read.
        names: those given to the columns of a table that has no header, else ``None``.
    """

    path: Path
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    skipped: int
    names: tuple[str, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether all rows were seen."""
        return len(self.rows) < LOOKED_AT


def read_data_file(path: Path) -> DataFile:
    """Read the first rows of a file.

    Raises:
        UserError: it is not there, or no row of it can be read.
    """
    from tunesmith.data.read.rows import read_rows
    from tunesmith.recipe.schema.data import Rows

    if not path.exists():
        folder = path.parent
        near = nearest(path.name, sorted(os.listdir(folder))) if folder.is_dir() else None
        raise UserError(
            f"there is no data file `{path}`", hint=f"did you mean `{folder / near}`?" if near else ""
        )
    source = Rows(source=str(path.absolute()), first=LOOKED_AT)
    raw, names = read_rows(source), None
    if _is_table(path) and raw.rows and is_headless(raw.columns(), [row.columns for row in raw.rows]):
        names = tuple(f"column_{number}" for number in range(1, len(raw.columns()) + 1))
        raw = read_rows(source.model_copy(update={"columns": names}))
    rows = [row.columns for row in raw.rows]
    if not rows:
        first = next((skip.detail for skip in raw.skips if skip.reason == "malformed"), "it is empty")
        raise UserError(
            f"no row of `{path}` can be read: {first}", hint="mend the file, or convert it to JSON Lines"
        )
    malformed = sum(skip.reason == "malformed" for skip in raw.skips)
    return DataFile(path, raw.columns(), rows, malformed, names)


def _is_table(path: Path) -> bool:
    return any(suffix.lower() in (".csv", ".tsv", ".tab") for suffix in path.suffixes)


def is_headless(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the first line of a table is a row: a cell is a number, a sentence, or stands below it too."""
    names = {name.strip().lower() for name in columns}
    if names & KNOWN_NAMES - {""}:
        return False
    if seems_a_row(columns):
        return True
    return any(
        name in (below := [str(row.get(name)) for row in rows]) and len(set(below)) <= max(2, len(rows) // 2)
        for name in columns
    )
