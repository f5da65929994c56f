"""Drawings of rows as SVG: pictures, boxes on them, curves; and marked text. Pure; all text is escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2}")
_LEAST_WIDTH, _MOST_SIDE, _MOST_PARTS = 96, 4096, 1000


def drawn_rows(drawings: Mapping[str, Any]) -> dict[str, Markup]:
    """Row id to what is drawn of it, field by field.

    Args:
        drawings: ``drawings.json``, row id to field to a ``Drawing``; what is none is left out.
    """
    found = {
        row: "".join(_figures(fields)) for row, fields in drawings.items() if isinstance(fields, Mapping)
    }
    return {row: Markup(f'<div class="drawn">{text}</div>') for row, text in found.items() if text}


def _figures(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, drawing in fields.items():
        body = "".join(_body(drawing)) if isinstance(drawing, Mapping) else ""
        if body:
            yield f"<figure><figcaption>{escape(name)}</figcaption>{body}</figure>"


def _body(drawing: Mapping[str, Any]) -> Iterator[str]:
    width, height = _number(drawing.get("width")), _number(drawing.get("height"))
    inside = "".join([*_picture(drawing, width, height), *_boxes(drawing), *_curve(drawing, width, height)])
    if inside and 0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE:
        shown = max(width, _LEAST_WIDTH)
        yield f'<svg viewBox="0 0 {width:g} {height:g}" width="{shown:g}" role="img">{inside}</svg>'
    marks = list(_marks(drawing))
    if marks:
        yield f'<p class="text">{"".join(marks)}</p>'


def _picture(drawing: Mapping[str, Any], width: float, height: float) -> Iterator[str]:
    address = drawing.get("picture")
    if isinstance(address, str) and _PICTURE.fullmatch(address):
        yield f'<image href="{address}" width="{width:g}" height="{height:g}"/>'


def _boxes(drawing: Mapping[str, Any]) -> Iterator[str]:
    for box in _list(drawing.get("boxes")):
        if not isinstance(box, list) or len(box) != 5:
            continue
        x, y, wide, high = map(_number, box[:4])
        yield f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"/>'
        yield f'<text x="{x + 2:g}" y="{y + 12:g}">{escape(str(box[4]))}</text>'


def _curve(drawing: Mapping[str, Any], width: float, height: float) -> Iterator[str]:
    heights = [_number(one) for one in _list(drawing.get("curve"))]
    if len(heights) > 1:
        step = width / (len(heights) - 1)
        points = "L".join(f"{n * step:.1f} {(1 - one) * height / 2:.1f}" for n, one in enumerate(heights))
        yield f'<path d="M{points}"/>'


def _marks(drawing: Mapping[str, Any]) -> Iterator[str]:
    for mark in _list(drawing.get("marks")):
        if isinstance(mark, list) and len(mark) == 2:
            text, label = escape(str(mark[0])), escape(str(mark[1]))
            yield f"<mark>{text}<small>{label}</small></mark>" if label else str(text)


def _list(value: Any) -> Sequence[Any]:
    return value[:_MOST_PARTS] if isinstance(value, list) else ()


def _number(value: Any) -> float:
    """A finite number; 0 for anything else."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else 0.0
