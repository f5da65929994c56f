"""Things in a picture: a list of ``{box: [x, y, width, height], label}`` in pixels, as COCO has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunesmith.data.map.drawing import Drawing, thumbnail
from tunesmith.data.map.images import open_picture
from tunesmith.data.map.kind import Cell, Found, Kind, Spell, as_json
from tunesmith.data.map.normalise import BadRow, comparable, to_number, to_text

Thing = dict[str, Any]
_BOX, _LABEL = ("box", "bbox"), ("label", "category", "category_id")
"""The keys under which they are found; the first is theirs here."""


def _read(cell: Cell) -> Found:
    value = cell.value
    items = _rows_of(value) if isinstance(value, Mapping) else cell.items()
    return Found(
        [_thing(item, f"object {number} of `{cell.column}`") for number, item in enumerate(items, 1)]
    )


def _rows_of(columns: Mapping[str, Any]) -> list[Any]:
    """``{bbox: […], category: […]}``, as data sets on a hub store lists of mappings."""
    try:
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    except (TypeError, ValueError):
        raise BadRow("malformed", "the objects are a mapping whose lists differ in length") from None


def _thing(item: Any, what: str) -> Thing:
    given: Mapping[str, Any] = item if isinstance(item, Mapping) else {}
    box: Any = next((given[key] for key in _BOX if key in given), None)
    label = next((given[key] for key in _LABEL if key in given), None)
    box = box.tolist() if hasattr(box, "tolist") else box
    if not isinstance(box, list | tuple) or len(box) != 4 or label is None:
        raise BadRow("malformed", f"{what} is not `{{box: [x, y, width, height], label}}`")
    numbers = [to_number(one, f"box` of `{what}") for one in box]
    if min(numbers[2:]) <= 0:
        raise BadRow("malformed", f"the box of {what} is {numbers[2]:g} wide and {numbers[3]:g} high")
    name = comparable(to_text(label, f"label` of `{what}"))
    if not name:
        raise BadRow("malformed", f"{what} has a blank label")
    return {"box": numbers, "label": name}


def _spell(value: list[Thing], how: Spell) -> str:
    return as_json(sorted([one["label"], one["box"]] for one in value))


def _classes(value: list[Thing]) -> list[str]:
    return [one["label"] for one in value]


def _stratum(value: list[Thing]) -> str:
    return "; ".join(sorted({one["label"] for one in value}))


def _draw(value: list[Thing], about: Any) -> Drawing | None:
    """The boxes on their picture."""
    if about is None:
        return None
    picture = open_picture(about).image
    small = thumbnail(picture)
    scale = small.width / picture.width
    return replace(small, boxes=tuple(_scaled(thing, scale) for thing in value))


def _scaled(thing: Thing, scale: float) -> tuple[float, float, float, float, str]:
    left, top, width, height = (round(scale * one, 2) for one in thing["box"])
    return left, top, width, height, thing["label"]


OBJECTS = Kind(
    name="objects",
    read=_read,
    spell=_spell,
    show=as_json,
    classes=_classes,
    stratum=_stratum,
    draw=_draw,
)
