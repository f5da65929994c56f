"""Pictures of rows: where they may come from, and how each becomes RGB.

A picture starts no other program: only formats that Pillow decodes by itself are opened.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.map.normalise import BadRow

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is opened. Others are left out because Pillow hands them to other programs, or hardly tests them."""
MOST_BYTES = 1 << 29
"""Of a picture's file."""
_NEARLY_WHITE = 240
_SIXTEEN_BITS = 257  # 65,535 / 255
_ALPHA, _FRAMES = "its transparent parts were filled", "it has several frames; the first one is seen"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a model sees it.

    Attributes:
        image: PIL image in mode RGB, upright.
        notes: what was done to it that its owner should know.
    """

    image: Any
    notes: tuple[str, ...] = ()


def picture_of(
    value: Any, folder: Path | None, roots: Sequence[Path] | None = None, name: str = "image"
) -> Any:
    """A column's value as something that ``open_picture`` takes.

    Args:
        value: a path, bytes, ``{bytes, path}`` as data sets hand pictures on, an array or a PIL image.
        folder: where relative paths start; default: the working directory.
        roots: folders of which a path must not lead out; ``None``: it may name any file.
        name: of the field, for messages.

    Raises:
        BadRow: it is none of these, or the file is not there, elsewhere or too large.
    """
    if isinstance(value, Mapping):
        stored = value.get("bytes")
        if stored is not None and not isinstance(stored, bytes):
            raise BadRow("malformed", f"the image's `bytes` are a {type(stored).__name__}, not bytes")
        value = value.get("path") if stored is None else stored
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        raise BadRow("empty", f"`{name}` is empty")
    if isinstance(value, str | Path):
        return str(file_of(str(value), folder, roots, name))
    if isinstance(value, bytes) and len(value) > MOST_BYTES:
        raise BadRow("malformed", _too_large("the image", len(value)))
    if not isinstance(value, bytes):
        _refuse_no_numbers(value)
    return value


def open_picture(value: Any) -> Picture:
    """An upright RGB picture from a path, bytes, ``{bytes, path}``, an array or a PIL image.

    A mark of orientation (EXIF) is followed. Transparent parts become white, or black where what is drawn is
    itself nearly white. Of several frames the first is taken. 16 bits a channel become 8.

    Args:
        value: arrays are [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], whole numbers from 0 to 255.

    Raises:
        ValueError: it is no picture in one of ``FORMATS``, is damaged, or is larger than Pillow holds safe.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = _opened(value)
            if image.format is not None and image.format not in (*FORMATS, "MPO"):
                raise ValueError(f"it is in the format {image.format}, and read are {', '.join(FORMATS)}")
            _refuse_many_pixels(image)
            several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
            rgb, filled = _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise ValueError(f"it is in no format that is read: {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"it is larger than {Image.MAX_IMAGE_PIXELS} pixels") from error
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # decoders raise what they like: struct.error, SyntaxError, zlib.error
        raise ValueError(f"it is damaged: {type(error).__name__}: {error}"[:300]) from error
    return Picture(rgb, (_ALPHA,) * filled + (_FRAMES,) * several)


def _opened(value: Any) -> Any:
    from PIL import Image

    if isinstance(value, Mapping):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if isinstance(value, str | Path):
        return Image.open(value, formats=FORMATS)
    if isinstance(value, bytes):
        return Image.open(io.BytesIO(value), formats=FORMATS)
    return value if isinstance(value, Image.Image) else _of_array(value)


def _of_array(value: Any) -> Any:
    import numpy as np
    from PIL import Image

    array = np.asarray(value)
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))) or not array.size:
        raise ValueError(
            f"an image is [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], and this is {list(array.shape)}"
        )
    with np.errstate(invalid="ignore"):
        pixels = array.astype(np.uint8)
    if not np.array_equal(pixels, array):
        raise ValueError("pixels are whole numbers from 0 to 255")
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[2:] == (1,) else pixels)


def _refuse_many_pixels(image: Any) -> None:
    """Pillow checks what it opens itself; a picture that somebody else opened is checked here."""
    from PIL import Image

    width, height = image.size
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def _rgb(image: Any) -> tuple[Any, bool]:
    """RGB, and whether transparent parts had to be filled."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode == "F":
        raise ValueError("its pixels are fractions; write it with 8 or 16 bits a channel")
    if not image.has_transparency_data:
        return image.convert("RGB"), False
    layered = image.convert("RGBA")
    if layered.getchannel("A").getextrema()[0] == 255:
        return layered.convert("RGB"), False
    return _filled(layered), True


def _eight_bits(image: Any) -> Any:
    """Grey of 16 bits as 8: Pillow's own conversion cuts everything above 255 off."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise ValueError("its pixels have more than 16 bits; write it with 8 or 16 bits a channel")
    return Image.fromarray((values // _SIXTEEN_BITS).astype(np.uint8))


def _filled(layered: Any) -> Any:
    """Over white, as a page would show it; over black where what is drawn would vanish on white."""
    import numpy as np
    from PIL import Image

    alpha = np.asarray(layered.getchannel("A"), dtype=np.float32)
    light = np.asarray(layered.convert("RGB").convert("L"), dtype=np.float32)
    drawn = float(alpha.sum())
    white = not drawn or float((alpha * light).sum()) / drawn < _NEARLY_WHITE
    ground = Image.new("RGBA", layered.size, "white" if white else "black")
    return Image.alpha_composite(ground, layered).convert("RGB")


def file_of(name: str, folder: Path | None, roots: Sequence[Path] | None, what: str = "image") -> Path:
    """The file that a column names.

    Args:
        name: its path.
        folder: where relative paths start; default: the working directory.
        roots: folders of which the path must not lead out; ``None``: it may name any file.
        what: it is, for messages.

    Raises:
        BadRow: the file is not there, elsewhere or too large.
    """
    if "://" in name:
        raise BadRow("malformed", f"the {what} `{name[:80]}` is an address, and those are not fetched")
    try:
        path = (folder or Path()) / Path(name).expanduser()
        found = path.is_file()
        inside = roots is None or any(path.resolve().is_relative_to(root) for root in roots)
        size = path.stat().st_size if found and inside else 0
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL in it, the home of nobody
        raise BadRow("malformed", f"the {what} `{name[:80]}` is no path: {error}"[:300]) from None
    if not inside:
        raise BadRow("malformed", f"the {what} `{name[:200]}` leads out of the data set's folder")
    if not found:
        raise BadRow("malformed", f"the {what} `{path}` does not exist")
    if size > MOST_BYTES:
        raise BadRow("malformed", _too_large(f"the {what} `{path}`", size))
    return path


def _too_large(what: str, size: int) -> str:
    return f"{what} has {size >> 20} MiB, and at most {MOST_BYTES >> 20} are read"


def _refuse_no_numbers(value: Any) -> None:
    import numpy as np

    try:
        numeric = np.asarray(value).dtype.kind in "biuf"
    except Exception:  # a ragged list, or a PIL image that cannot be decoded
        numeric = False
    if not numeric:
        what = f"the image is a {type(value).__name__}, not a path, bytes, an array or a PIL image"
        raise BadRow("malformed", f"{what} that can be read")
