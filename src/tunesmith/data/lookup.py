"""Rows found again by their ids in the files that they came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tunesmith.data.eval_splits import own_sources
from tunesmith.data.load import row_labels
from tunesmith.data.read.raw import RawRow
from tunesmith.data.read.rows import open_rows
from tunesmith.data.row_order import split_id
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Data, Rows
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.source_syntax import has_pattern


def find_rows(data: Data, evaluation: Eval, ids: Collection[str]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Place (path and line) and columns of training rows, of those that lie in plain files of this machine.

    Files are read as they are now and no further than the last row that is sought. Code that makes rows is
    not run, a hub is not asked, and what cannot be read is passed over.
    """
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    labels = row_labels([*data.train, *own_sources(data, evaluation).values()])
    for rows, label in zip(data.train, labels, strict=False):
        if Path(rows.source).is_file() or has_pattern(rows.source):
            try:
                found |= _find(rows, label or None, set(ids) - found.keys())
            except (UserError, OSError):
                continue
    return found


def _find(rows: Rows, label: str | None, wanted: set[str]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    source = open_rows(rows, label, None, "")
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    begins = set(source.files) or {label or Path(source.place).name}
    left = {one for one in wanted if split_id(one)[0] in begins}
    for item in source.items if left else ():
        if isinstance(item, RawRow) and item.id in left:
            name, line = split_id(item.id)
            found[item.id] = (f"{source.files.get(name, source.place)}:{line}", item.columns)
            left.discard(item.id)
            if not left:
                break
    return found
