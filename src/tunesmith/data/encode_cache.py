"""Examples on disk: Arrow, which is read without running anything, with a checksum."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from tunesmith.data.row import Skip
from tunesmith.sources.cache import building, sha256_of

_LOG = logging.getLogger(__name__)
_FILE = "examples.arrow"


@dataclass(frozen=True, slots=True)
class Known:
    """What the cache says.

    Attributes:
        state: ``uncachable`` means that examples of this kind are not stored, so that processes need not
            wait for each other in vain.
        examples: if ``present``.
        skipped: if ``present``.
    """

    state: Literal["absent", "present", "uncachable"]
    examples: Sequence[dict[str, Any]] = ()
    skipped: Sequence[Skip] = ()


def read_examples(folder: Path) -> Known:
    """The entry; a damaged one is reported and counts as absent."""
    try:
        entry = json.loads((folder / "entry.json").read_bytes())
        if entry["state"] == "uncachable":
            return Known("uncachable")
        if sha256_of(folder / _FILE) == entry["sha256"]:
            skipped = [Skip(*map(str, skip)) for skip in entry["skipped"]]
            return Known("present", _read_table(folder / _FILE, entry["arrays"]), skipped)
    except (FileNotFoundError, NotADirectoryError):
        if not folder.exists():
            return Known("absent")
    except (ValueError, KeyError, TypeError):
        pass
    _LOG.warning("the cache entry %s is damaged; its rows are encoded anew", folder)
    return Known("absent")


def write_examples(folder: Path, examples: Sequence[Mapping[str, Any]], skipped: Sequence[Skip]) -> None:
    """Store an entry, in place of a damaged one; examples that would come back changed are not stored."""
    if folder.exists():
        shutil.rmtree(folder)
    with building(folder) as fresh:
        arrays = _array_columns(examples)
        entry: dict[str, Any] = {"state": "uncachable"}
        if arrays is not None and _write_table(fresh / _FILE, examples, arrays):
            entry = {
                "state": "present",
                "sha256": sha256_of(fresh / _FILE),
                "arrays": arrays,
                "skipped": [[skip.id, skip.reason, skip.detail] for skip in skipped],
            }
        (fresh / "entry.json").write_text(json.dumps(entry), encoding="utf-8")


def _array_columns(examples: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Columns of one-dimensional numpy arrays, with their types; ``None`` if examples cannot be stored."""
    arrays: dict[str, str] = {}
    for number, example in enumerate(examples):
        if number and example.keys() != examples[0].keys():
            return None
        for name, value in example.items():
            if not hasattr(value, "dtype"):
                if name in arrays:
                    return None
                continue
            dtype = getattr(value.dtype, "str", "")
            storable = getattr(value, "ndim", 0) == 1 and dtype[1:2] in {"i", "u", "f"} and dtype[2:] != "2"
            if not storable or (number and arrays.get(name) != dtype):
                return None
            arrays[name] = dtype
    return arrays


def _write_table(path: Path, examples: Sequence[Mapping[str, Any]], arrays: Mapping[str, str]) -> bool:
    """Write, read back and compare: what the cache gives is what the task gave, or it is not used."""
    import pyarrow
    import pyarrow.ipc

    try:
        table = pyarrow.Table.from_pylist([dict(example) for example in examples])
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    except (pyarrow.ArrowException, OverflowError, TypeError):
        path.unlink(missing_ok=True)
        return False
    return all(
        _equal(before, after) for before, after in zip(examples, _read_table(path, arrays), strict=True)
    )


def _equal(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    for name, value in before.items():
        if hasattr(value, "dtype"):
            if value.tobytes() != after[name].tobytes():
                return False
        elif type(value) is not type(after[name]) or value != after[name]:
            return False
    return True


def _read_table(path: Path, arrays: Mapping[str, str]) -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.ipc

    with pyarrow.OSFile(str(path), "rb") as source:
        table = pyarrow.ipc.open_file(source).read_all()
    columns = [_column(table.column(name), arrays.get(name)) for name in table.column_names]
    return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _column(column: Any, dtype: str | None) -> list[Any]:
    if dtype is None:
        return list(column.to_pylist())
    import numpy as np

    chunk = column.combine_chunks()
    flat = chunk.values.to_numpy(zero_copy_only=False).astype(np.dtype(dtype), copy=False)
    offsets = chunk.offsets.to_numpy()
    return [flat[start:end].copy() for start, end in pairwise(offsets)]
