"""The user's data file, looked at: columns and first rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.recipe.finding import nearest

LOOKED_AT = 1000
"""Rows that are read to judge a file."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """What was seen of the user's data: up to ``LOOKED_AT`` rows, and whether these are all."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    skipped: int

    @property
    def whole(self) -> bool:
        """Whether all rows were seen."""
        return len(self.rows) < LOOKED_AT


def look(path: Path) -> DataFile:
    """Read the first rows of a file.

    Raises:
        UserError: it is not there, or no row of it can be read.
    """
    from tunesmith.data.read import read_rows
    from tunesmith.recipe.schema import Rows

    if not path.exists():
        folder = path.parent
        near = nearest(path.name, sorted(os.listdir(folder))) if folder.is_dir() else None
        raise UserError(
            f"there is no data file `{path}`", hint=f"did you mean `{folder / near}`?" if near else ""
        )
    raw = read_rows(Rows(source=str(path.absolute()), first=LOOKED_AT))
    rows = [row.columns for row in raw.rows]
    if not rows:
        first = next((skip.detail for skip in raw.skips if skip.reason == "malformed"), "it is empty")
        raise UserError(
            f"no row of `{path}` can be read: {first}", hint="mend the file, or convert it to JSON Lines"
        )
    malformed = sum(skip.reason == "malformed" for skip in raw.skips)
    return DataFile(path, raw.columns(), rows, malformed)
