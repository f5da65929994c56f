"""Text, as it stands in the column."""

from __future__ import annotations

from tunesmith.data.map.kind import Cell, Found, Kind, Spell


def _read(cell: Cell) -> Found:
    return Found(*cell.text())


def _spell(value: str, how: Spell) -> str:
    return how(value)


def _texts(value: str) -> tuple[str, ...]:
    return (str(value),)


TEXT = Kind(name="text", read=_read, spell=_spell, show=str, texts=_texts)
