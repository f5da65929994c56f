"""One class: any text, number or truth value, in one spelling of what looks and means the same."""

from __future__ import annotations

from tunesmith.data.map.kind import Cell, Found, Kind, Spell
from tunesmith.data.map.normalise import BadRow, comparable


def _read(cell: Cell) -> Found:
    # composed Unicode, single blanks
    label = comparable(cell.text()[0])
    if not label:
        raise BadRow("empty", f"`{cell.field.name}` is empty")
    return Found(label)


def _spell(value: str, how: Spell) -> str:
    return value


def _classes(value: str) -> tuple[str, ...]:
    return (value,)


LABEL = Kind(name="label", read=_read, spell=_spell, show=str, classes=_classes, stratum=str, single="class")
