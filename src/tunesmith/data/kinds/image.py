"""A picture: a path, bytes, ``{bytes, path}``, an array or a PIL image; opened when it is encoded."""

from __future__ import annotations

from typing import Any

from tunesmith.data.map.digest import content_digest
from tunesmith.data.map.drawing import Drawing, thumbnail
from tunesmith.data.map.images import open_picture, picture_of
from tunesmith.data.map.kind import Cell, Found, Kind, Spell
from tunesmith.data.map.normalise import BadRow


def _read(cell: Cell) -> Found:
    value = picture_of(cell.value, cell.folder, cell.roots, cell.field.name)
    return Found(value)


def spell_picture(value: Any, how: Spell) -> str:
    """Digest of a file's bytes or an array's values; of a picture opened elsewhere, of its pixels.

    Raises:
        BadRow: they cannot be read.
    """
    try:
        return content_digest(value).hex()
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise BadRow("malformed", f"the image cannot be read: {error}"[:300]) from None


def show_picture(value: Any) -> str:
    """Its path, or its size."""
    if isinstance(value, str):
        return value
    size = getattr(value, "size", None) if hasattr(value, "mode") else getattr(value, "shape", None)
    return f"a picture {'x'.join(map(str, size))}" if size else "a picture"


def draw_picture(value: Any, about: Any = None) -> Drawing:
    """The picture, made smaller.

    Raises:
        ValueError: it cannot be opened.
    """
    return thumbnail(open_picture(value).image)


IMAGE = Kind(
    name="image",
    read=_read,
    spell=spell_picture,
    show=show_picture,
    content=content_digest,
    draw=draw_picture,
)
