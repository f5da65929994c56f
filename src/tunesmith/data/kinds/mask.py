"""A class for each pixel: a PNG, TIFF or BMP of one channel, or an array [H, W], of class ids."""

from __future__ import annotations

import io
from colorsys import hsv_to_rgb
from typing import Any

from tunesmith.data.kinds.image import show_picture, spell_picture
from tunesmith.data.map.digest import content_digest
from tunesmith.data.map.drawing import Drawing, thumbnail
from tunesmith.data.map.images import picture_of
from tunesmith.data.map.kind import Cell, Found, Kind

FORMATS = ("BMP", "PNG", "TIFF")
"""Those that keep every value."""
_MODES = ("1", "L", "P", "I", "I;16")


def _read(cell: Cell) -> Found:
    return Found(picture_of(cell.value, cell.folder, cell.roots, cell.field.name))


def open_mask(value: Any) -> Any:
    """Class ids, an array [H, W] of int64.

    Args:
        value: of a field of kind ``mask``.

    Raises:
        ValueError: it is in a format that changes values, has several channels, or is damaged.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    if not isinstance(value, str | bytes | Image.Image):
        ids = np.asarray(value)
        if ids.ndim != 2 or not np.array_equal(ids, ids.astype(np.int64)):
            raise ValueError(f"a mask is whole numbers [H, W], and this is {list(ids.shape)}")
        return ids.astype(np.int64)
    try:
        if isinstance(value, Image.Image):
            image = value
        else:
            image = Image.open(io.BytesIO(value) if isinstance(value, bytes) else value, formats=FORMATS)
        if image.mode not in _MODES:
            raise ValueError(f"its pixels are {image.mode}; a mask has one channel, of class ids")
        return np.asarray(image).astype(np.int64)
    except UnidentifiedImageError as error:
        raise ValueError(f"it is in no format that keeps class ids: {', '.join(FORMATS)}") from error
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # decoders raise what they like
        raise ValueError(f"it is damaged: {type(error).__name__}: {error}"[:300]) from error


def _draw(value: Any, about: Any) -> Drawing:
    """Each class in a colour of its own, the first in black."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray((open_mask(value) % 256).astype(np.uint8), mode="P")
    hues = [tuple(round(255 * one) for one in hsv_to_rgb(k * 0.618 % 1, 0.65, 0.95)) for k in range(255)]
    image.putpalette([0, 0, 0, *(part for hue in hues for part in hue)])
    return thumbnail(image)


MASK = Kind(
    name="mask", read=_read, spell=spell_picture, show=show_picture, content=content_digest, draw=_draw
)
