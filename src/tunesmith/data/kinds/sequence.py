"""Items in order: a list of texts or numbers, or text whose items blanks part."""

from __future__ import annotations

from typing import Any

from tunesmith.data.map.kind import Cell, Found, Kind, Spell, as_json
from tunesmith.data.map.normalise import BadRow, plain_text, to_number, to_text


def _read(cell: Cell) -> Found:
    items = [_item(plain_text(item), cell.column) for item in cell.items(" ")]
    if not items:
        raise BadRow("empty", f"`{cell.column}` is empty")
    return Found(items, " ".join(map(str, items)))


def _item(item: Any, column: str) -> Any:
    if isinstance(item, int | float) and not isinstance(item, bool):
        to_number(item, column)
        return item
    text = to_text(item, column).strip()
    if not text:
        raise BadRow("malformed", f"`{column}` has a blank item")
    return text


def _spell(value: list[Any], how: Spell) -> str:
    return as_json([how(item) if isinstance(item, str) else item for item in value])


def _show(value: list[Any]) -> str:
    plain = all(isinstance(item, str) and len(item.split()) == 1 for item in value)
    return " ".join(value) if plain and not value[0].startswith("[") else as_json(value)


def _texts(value: list[Any]) -> tuple[str, ...]:
    return (" ".join(map(str, value)),)


SEQUENCE = Kind(name="sequence", read=_read, spell=_spell, show=_show, texts=_texts)
