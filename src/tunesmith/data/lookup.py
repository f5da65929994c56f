"""Rows found again by their ids in the files that they came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tunesmith.data.eval_splits import own_sources
from tunesmith.data.read.raw import RawRow
from tunesmith.data.read.rows import OpenSource, open_rows, row_labels
from tunesmith.data.row_order import split_id
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Data, Rows
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.source_syntax import has_pattern
from tunesmith.sources.address import PythonAddress, parse_address


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


def training_labels(data: Data, evaluation: Eval) -> set[str] | None:
    """With what ids of training rows begin; ``None`` where only reading a source tells.

    Raises:
        UserError: a source cannot be opened.
    """
    found: set[str] = set()
    labels = row_labels([*data.train, *own_sources(data, evaluation).values()])
    for rows, label in zip(data.train, labels, strict=False):
        address = parse_address(rows.source)
        if isinstance(address, PythonAddress):
            found.add(label or f"{address.module}.{address.function}")
        elif Path(rows.source).is_file() or has_pattern(rows.source):
            found |= _labels_in(open_rows(rows, label or None, None, ""), label)
        else:
            return None
    return found


def _labels_in(source: OpenSource, label: str | None) -> set[str]:
    return set(source.files) or {label or Path(source.place).name}


def _find(rows: Rows, label: str | None, wanted: set[str]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    source = open_rows(rows, label, None, "")
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    left = {one for one in wanted if split_id(one)[0] in _labels_in(source, label)}
    for item in source.items if left else ():
        if isinstance(item, RawRow) and item.id in left:
            name, line = split_id(item.id)
            found[item.id] = (f"{source.files.get(name, source.place)}:{line}", item.columns)
            left.discard(item.id)
            if not left:
                break
    return found
