"""Rows from Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.data.read.datasets import class_names, with_names
from tunesmith.data.read.raw import Item, rows_of_mappings
from tunesmith.errors import UserError

BATCH = 256
"""Rows unpacked at once. A column may repeat one long value many times, and few bytes say so."""


def read_parquet(path: Path, label: str) -> Iterator[Item]:
    """A Parquet file, batch by batch; numbers of a ``ClassLabel`` become the names they stand for.

    Raises:
        UserError: it is not one.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = _class_names(file.schema_arrow)
        batches = file.iter_batches(batch_size=BATCH, use_threads=False)
        rows = (row for batch in batches for row in batch.to_pylist())
        yield from rows_of_mappings((with_names(row, names) for row in rows) if names else rows, label)
    except MemoryError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"not a Parquet file: {error}"[:300], str(path), "see whether it is whole") from error


def _class_names(schema: Any) -> dict[str, list[str]]:
    """From what ``datasets`` notes in a file; where that cannot be understood, numbers stay numbers."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    try:
        return class_names(datasets.Features.from_arrow_schema(schema))
    except Exception:  # a note that another version wrote, or nobody
        return {}
