"""Rows from Hugging Face data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.data.read.confinement import CARDS, card_text, refuse_card
from tunesmith.data.read.raw import Item, rows_of_mappings
from tunesmith.errors import UserError
from tunesmith.sources.address import HubAddress
from tunesmith.sources.hub import explain_hub_error
from tunesmith.suggest import did_you_mean, listed

_PLAIN = frozenset({"arrow", "cache", "csv", "imagefolder", "json", "parquet", "text"})
"""Builders of ``datasets`` that read rows and can do nothing else."""


def read_hub(
    address: HubAddress, label: str, name: str | None, split: str | None, where: str
) -> Iterator[Item]:
    """A data set of the hub, or of its cache.

    Raises:
        UserError: it cannot be had, or has several splits and none is named.
    """
    import datasets

    try:
        _refuse_card_outside(address, where)
        builder = datasets.load_dataset_builder(address.name, name, revision=address.revision)
        refuse_unplain(builder, where)
        _refuse_elsewhere(builder, address, where)
        found = datasets.load_dataset(address.name, name, revision=address.revision)
    except UserError:
        raise
    except Exception as error:
        wrong = explain_hub_error(error, address)
        raise UserError(wrong.what, where, wrong.hint) from error
    chosen, split = choose_split(found, split, str(address), where)
    return rows_of_dataset(chosen, f"{label}[{split}]" if split else label)


def _refuse_card_outside(address: HubAddress, where: str) -> None:
    """Look at a data set's card before the library follows what stands there."""
    import huggingface_hub

    for name in CARDS:
        try:
            card = huggingface_hub.hf_hub_download(
                address.name, name, repo_type="dataset", revision=address.revision
            )
        except Exception:  # there is none, or no way to the hub, which the library explains better
            continue
        refuse_card(card_text(Path(card), where), f"{address}/{name}", where)


def _refuse_elsewhere(builder: Any, address: HubAddress, where: str) -> None:
    files = [str(file) for some in (builder.config.data_files or {}).values() for file in some]
    for file in files:
        if not file.startswith(f"hf://datasets/{address.name}") or "::" in file:
            raise UserError(
                f"`{address}` names the file `{file[:120]}`, which is not its own",
                where,
                "name that file as a source of its own if it is wanted",
            )


def refuse_unplain(builder: Any, where: str) -> str:
    """The format; some of ``datasets`` hold pickles or call other programs, and a few plain ones are enough.

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
    return kind


def rows_of_dataset(dataset: Any, label: str) -> Iterator[Item]:
    """Rows of a ``datasets.Dataset``; numbers of a ``ClassLabel`` become the names they stand for.

    Pictures stay as they are stored, bytes or a path: the library would open every format that there is.
    """
    names = class_names(dataset.features or {})
    rows = _stored_rows(dataset)
    return rows_of_mappings((with_names(row, names) for row in rows) if names else rows, label)


def _stored_rows(dataset: Any) -> Iterator[Mapping[str, Any]]:
    if not hasattr(dataset, "__len__"):  # one that is made on the way
        yield from dataset.decode(False) if hasattr(dataset, "decode") else dataset
        return
    for table in dataset.with_format("arrow").iter(batch_size=256):
        yield from table.to_pylist()


def class_names(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """Column to the names that its numbers stand for."""
    return {
        column: list(feature.names)
        for column, feature in features.items()
        if type(feature).__name__ == "ClassLabel"
    }


def with_names(row: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """A row with names in place of numbers; a number without a name becomes nothing."""
    named = dict(row)
    for column, labels in names.items():
        value = named[column]
        named[column] = labels[value] if isinstance(value, int) and 0 <= value < len(labels) else None
    return named


def hub_caches() -> tuple[Path, ...]:
    """Where the hub's libraries keep what they have brought."""
    import datasets
    import huggingface_hub

    places = (
        datasets.config.HF_CACHE_HOME,
        datasets.config.HF_DATASETS_CACHE,
        huggingface_hub.constants.HF_HUB_CACHE,
    )
    return tuple(Path(place).resolve() for place in places)


def choose_split(found: Any, split: str | None, source: str, where: str) -> tuple[Any, str | None]:
    """The rows of the split that is asked for, or of the only one, and its name.

    Raises:
        UserError: there is no such split, or there are several and none is named.
    """
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
