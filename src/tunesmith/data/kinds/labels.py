"""Several classes at once, or none: a list, or text such as ``red; round``. Their order means nothing."""

from __future__ import annotations

from tunesmith.data.map.kind import Cell, Found, Kind, Spell, as_json
from tunesmith.data.map.normalise import BadRow, comparable, to_text


def _read(cell: Cell) -> Found:
    items = cell.items(";")
    labels = [comparable(to_text(item, cell.column)) for item in items]
    if "" in labels:
        raise BadRow("malformed", f"`{cell.column}` has a blank label among {len(labels)}")
    return Found(sorted(set(labels)))


def _spell(value: list[str], how: Spell) -> str:
    return as_json(value)


def _show(value: list[str]) -> str:
    text = "; ".join(value)
    return as_json(value) if ";" in "".join(value) or text.startswith("[") else text


def _classes(value: list[str]) -> list[str]:
    return value


LABELS = Kind(name="labels", read=_read, spell=_spell, show=_show, classes=_classes, stratum=_show)
