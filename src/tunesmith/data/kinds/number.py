"""One finite number, also written as text."""

from __future__ import annotations

from tunesmith.data.map.kind import Cell, Found, Kind, Spell
from tunesmith.data.map.normalise import to_number


def _read(cell: Cell) -> Found:
    return Found(to_number(cell.value, cell.column))


def _spell(value: float, how: Spell) -> str:
    return value.hex()


NUMBER = Kind(name="number", read=_read, spell=_spell, show=repr, single="number")
