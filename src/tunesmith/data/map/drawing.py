"""What is drawn of a value: a picture, boxes on it, marked text, a curve; each small enough for a page."""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import asdict, dataclass
from typing import Any

LONGEST_SIDE, MOST_CHARACTERS, POINTS = 240, 600, 200
_SMALL = 64
"""Pixels of a side up to which a picture is kept without loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One drawing.

    Attributes:
        width: of the picture or curve, in pixels; 0 for text.
        height: likewise.
        picture: PNG or JPEG as a ``data:`` address.
        boxes: left, top, width, height in pixels of the drawing, and a name.
        marks: stretches of text in order, each with the name of what it is, empty for the rest.
        curve: heights from -1 to 1.
    """

    width: int = 0
    height: int = 0
    picture: str = ""
    boxes: tuple[tuple[float, float, float, float, str], ...] = ()
    marks: tuple[tuple[str, str], ...] = ()
    curve: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As a run directory holds it."""
        return asdict(self)


def thumbnail(image: Any) -> Drawing:
    """A PIL image, made smaller where it is large.

    Args:
        image: mode RGB or P.
    """
    small = image.copy()
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    lossless = max(small.size) <= _SMALL or small.mode == "P"
    kind, settings = ("PNG", {"optimize": True}) if lossless else ("JPEG", {"quality": 80})
    buffer = io.BytesIO()
    small.save(buffer, kind, **settings)
    address = f"data:image/{kind.lower()};base64,{b64encode(buffer.getvalue()).decode()}"
    return Drawing(width=small.width, height=small.height, picture=address)
