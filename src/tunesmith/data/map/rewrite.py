"""``values`` of a recipe: how the values of a column are rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.data.map.normalise import BadRow, to_text
from tunesmith.data.read.raw import RawRow, RawRows
from tunesmith.errors import UserError
from tunesmith.suggest import did_you_mean


def rewrite_values(raw: RawRows, values: Mapping[str, Mapping[str, str]], where: str = "") -> RawRows:
    """Replace the values of the named columns; rows without a value keep none.

    Args:
        raw: the rows as read.
        values: column -> value as text -> new value.
        where: the place in the recipe, for messages.

    Raises:
        UserError: a column is not there, or a value is not in its mapping.
    """
    if not values or not raw.rows:
        return raw
    columns = raw.columns()
    for column in values:
        if column not in columns:
            hint = did_you_mean(column, columns, "columns")
            raise UserError(f"`values` names the column `{column}`, which is not there", where, hint)
    rows = tuple(RawRow(row.id, _rewrite(row, values, raw.where(row.id))) for row in raw.rows)
    return RawRows(raw.place, raw.folder, rows, raw.skips)


def _rewrite(row: RawRow, values: Mapping[str, Mapping[str, str]], place: str) -> dict[str, Any]:
    columns = dict(row.columns)
    for column, mapping in values.items():
        value = columns.get(column)
        if value is None:
            continue
        try:
            text = to_text(value, column)
        except BadRow:
            text = str(value)
        if text not in mapping:
            raise _not_mapped(column, text, list(mapping), place)
        columns[column] = mapping[text]
    return columns


def _not_mapped(column: str, text: str, known: Sequence[str], place: str) -> UserError:
    hint = did_you_mean(text, known, f"values under `values.{column}`")
    return UserError(f"the value `{text[:80]}` of column `{column}` is not in `values.{column}`", place, hint)
