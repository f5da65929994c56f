"""Rows from Parquet, from Hugging Face data sets and from callables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.data.raw import Item, rows_of_mappings
from tunesmith.errors import UserError
from tunesmith.sources.address import HubAddress
from tunesmith.sources.hub import explain_hub_error
from tunesmith.sources.nearest import did_you_mean, listed

_PLAIN = frozenset({"arrow", "cache", "csv", "imagefolder", "json", "parquet", "text"})
"""Builders of ``datasets`` that read rows and can do nothing else."""


def read_parquet(path: Path, label: str) -> Iterator[Item]:
    """A Parquet file, batch by batch.

    Raises:
        UserError: it is not one.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        batches = pyarrow.parquet.ParquetFile(path).iter_batches()
        yield from rows_of_mappings((row for batch in batches for row in batch.to_pylist()), label)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"not a Parquet file: {error}"[:300], str(path), "see whether it is whole") from error


def read_hub(
    address: HubAddress, label: str, name: str | None, split: str | None, where: str
) -> Iterator[Item]:
    """A data set of the hub, or of its cache.

    Raises:
        UserError: it cannot be had, or has several splits and none is named.
    """
    import datasets

    try:
        _refuse_unplain(datasets.load_dataset_builder(address.name, name, revision=address.revision), where)
        found = datasets.load_dataset(address.name, name, revision=address.revision)
    except UserError:
        raise
    except Exception as error:
        wrong = explain_hub_error(error, address)
        raise UserError(wrong.what, where, wrong.hint) from error
    chosen, split = _choose_split(found, split, str(address), where)
    return rows_of_dataset(chosen, f"{label}[{split}]" if split else label)


def read_folder(folder: Path, label: str, name: str | None, split: str | None, where: str) -> Iterator[Item]:
    """A folder written by ``save_to_disk``, or one of data files that ``load_dataset`` understands.

    Raises:
        UserError: it is neither, or has several splits and none is named.
    """
    import datasets

    saved = any((folder / file).exists() for file in ("dataset_dict.json", "state.json"))
    try:
        if not saved:
            _refuse_unplain(datasets.load_dataset_builder(str(folder), name), where)
        found = datasets.load_from_disk(str(folder)) if saved else datasets.load_dataset(str(folder), name)
    except UserError:
        raise
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"the folder `{folder}` is not a data set: {reason[:200]}",
            where,
            "name one file in it, or save it with `Dataset.save_to_disk`",
        ) from error
    chosen, split = _choose_split(found, split, str(folder), where)
    return rows_of_dataset(chosen, f"{label}[{split}]" if split else label)


def _refuse_unplain(builder: Any, where: str) -> None:
    """Some formats of ``datasets`` hold pickles or call other programs; a few plain ones are enough.

    Raises:
        UserError: if the data set is in one of the others.
    """
    kind = type(builder).__module__.rpartition(".")[2]
    if kind not in _PLAIN:
        raise UserError(
            f"the data set is in the format `{kind}`, which is not read",
            where,
            f"those that hold rows and nothing else are: {listed(sorted(_PLAIN))}",
        )


def rows_of_dataset(dataset: Any, label: str) -> Iterator[Item]:
    """Rows of a ``datasets.Dataset``; numbers of a ``ClassLabel`` become the names they stand for."""
    names = {
        column: list(feature.names)
        for column, feature in (dataset.features or {}).items()
        if type(feature).__name__ == "ClassLabel"
    }
    rows: Iterable[Mapping[str, Any]] = (
        dataset.with_format(None) if hasattr(dataset, "with_format") else dataset
    )
    return rows_of_mappings((_with_names(row, names) for row in rows) if names else rows, label)


def _with_names(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    named = dict(row)
    for column, labels in names.items():
        value = named[column]
        named[column] = labels[value] if isinstance(value, int) and 0 <= value < len(labels) else None
    return named


def _choose_split(found: Any, split: str | None, source: str, where: str) -> tuple[Any, str | None]:
    if not isinstance(found, Mapping):
        if split is not None:
            raise UserError(
                f"`{source}` has no splits, and `{split}` is asked for", where, "leave `split` out"
            )
        return found, None
    splits = [str(key) for key in found]
    if split is None and len(splits) == 1:
        return found[splits[0]], splits[0]
    if split is None:
        raise UserError(f"`{source}` has several splits", where, f"set `split` to one of {listed(splits)}")
    if split not in found:
        raise UserError(f"`{source}` has no split `{split}`", where, did_you_mean(split, splits, "splits"))
    return found[split], split
