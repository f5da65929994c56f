"""What the first rows of a recipe's sources show to be wrong: columns, fields, values. Seconds, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tunesmith.data.clean.exclusions import excluded_ids
from tunesmith.data.eval_splits import EVAL, TEST, own_sources
from tunesmith.data.load import first_rows, read_head
from tunesmith.data.lookup import training_labels
from tunesmith.data.map.map_row import MappedRow
from tunesmith.data.map.template import parse_field
from tunesmith.data.read.rows import read_rows
from tunesmith.data.row_order import split_id
from tunesmith.data.split import column_text
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Holdout, Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.sources.address import HubAddress, PythonAddress, WheelAddress, parse_address
from tunesmith.sources.wheel import is_in_cache
from tunesmith.suggest import did_you_mean

HEAD = 200
"""Rows of each source that are looked at."""


def check_rows(recipe: Recipe, folder: Path) -> tuple[list[UserError], list[str]]:
    """Look at the first rows of every source that is on this machine.

    Args:
        recipe: resolved.
        folder: of the recipe's file.

    Returns:
        What a run would refuse of them, and the sources that were not looked at, with the reason.
    """
    problems: list[UserError] = []
    unseen: list[str] = []
    heads: dict[str, Sequence[MappedRow]] = {}
    for where, rows in _sources(recipe).items():
        reason = not_at_hand(rows.source)
        if reason:
            unseen.append(f"`{rows.source}` {reason}")
            continue
        found = list(_of_source(rows, recipe, folder, where, heads))
        problems += found
    problems += _named_columns(recipe, heads)
    problems += _excluded(recipe)
    return problems, list(dict.fromkeys(unseen))


def _excluded(recipe: Recipe) -> Iterator[UserError]:
    """Ids of no training source; whether a source has the line, a run says, which reads all of it."""
    try:
        named = excluded_ids(recipe.data.exclude)
        labels = training_labels(recipe.data, recipe.eval) if named else None
    except UserError as problem:
        yield problem
        return
    unknown = [row for row in named if split_id(row)[0] not in labels] if labels is not None else []
    if unknown:
        yield UserError(
            f"`{unknown[0]}` is no row of `data.train`"
            + (f", and {len(unknown) - 1:,} more are none" if len(unknown) > 1 else ""),
            named[unknown[0]],
            did_you_mean(split_id(unknown[0])[0], sorted(labels or ()), "names before the colon"),
        )


def not_at_hand(source: str) -> str:
    """Why a source cannot be looked at without a network or the user's own code; empty if it can."""
    address = parse_address(source)
    if isinstance(address, PythonAddress):
        return "is code, which is not called"
    if isinstance(address, HubAddress):
        return "is on the hub"
    if isinstance(address, WheelAddress) and not is_in_cache(address):
        return "has not been fetched yet"
    return ""


def _sources(recipe: Recipe) -> Mapping[str, Rows]:
    train = {f"data.train.{number}": rows for number, rows in enumerate(recipe.data.train)}
    return {**train, **own_sources(recipe.data, recipe.eval)}


def _of_source(
    rows: Rows, recipe: Recipe, folder: Path, where: str, heads: dict[str, Sequence[MappedRow]]
) -> Iterator[UserError]:
    schema = spec_of(recipe.task).row_schema
    try:
        unknown = list(_unknown_columns(rows, folder, where))
        if not unknown:
            heads[where] = read_head(rows, schema, recipe.data.clean, count=HEAD, folder=folder, where=where)
        yield from unknown
    except UserError as problem:
        yield problem


def _unknown_columns(rows: Rows, folder: Path, where: str) -> Iterator[UserError]:
    """Every field that names a column which is not there, where a run would name the first."""
    raw = read_rows(first_rows(rows, HEAD), folder=folder, where=where)
    columns = raw.columns()
    for field, spec in rows.mapped.items() if raw.rows else ():
        key = f"{where}.fields.{field}" if field in rows.fields else f"{where}.{field}"
        try:
            parse_field(spec, columns, field, key, literal=field == "system")
        except UserError as problem:
            yield problem


def _named_columns(recipe: Recipe, heads: Mapping[str, Sequence[MappedRow]]) -> Iterator[UserError]:
    """Columns that the recipe names elsewhere: to stratify, to slice, to cluster, to test by."""
    train = heads.get("data.train.0", ())
    held_out = train if isinstance(recipe.data.eval, Holdout) else heads.get(EVAL, ())
    named = [(name, "eval.slices", held_out) for name in recipe.eval.columns]
    if recipe.eval.cluster is not None:
        named.append((recipe.eval.cluster, "eval.cluster", held_out))
    if recipe.eval.code.tests is not None:
        named.append((recipe.eval.code.tests, "eval.code.tests", held_out))
    for where, section in ((EVAL, recipe.data.eval), (TEST, recipe.data.test)):
        if isinstance(section, Holdout) and section.stratify is not None:
            named.append((section.stratify, f"{where}.stratify", train))
    for column, where, samples in named:
        try:
            for sample in samples:
                column_text(sample, column, where)
        except UserError as problem:
            yield problem
