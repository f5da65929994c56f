"""A recording: a path, bytes, ``{bytes, path}`` or ``{array, sampling_rate}``; decoded when it is encoded."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.map.digest import content_digest
from tunesmith.data.map.drawing import LONGEST_SIDE, POINTS, Drawing
from tunesmith.data.map.images import file_of
from tunesmith.data.map.kind import Cell, Found, Kind, Spell
from tunesmith.data.map.normalise import BadRow
from tunesmith.errors import UserError


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording as a model hears it.

    Attributes:
        samples: float32 [T], channels averaged, from -1 to 1.
        rate: samples a second.
    """

    samples: Any
    rate: int


def _read(cell: Cell) -> Found:
    value = cell.value
    if isinstance(value, Mapping):
        value = _of_mapping(value, cell.column)
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        raise BadRow("empty", f"`{cell.column}` is empty")
    if isinstance(value, str | Path):
        return Found(str(file_of(str(value), cell.folder, cell.roots, "recording")))
    if not isinstance(value, bytes | dict):
        raise BadRow("malformed", f"`{cell.column}` is a {type(value).__name__}, not a recording")
    return Found(value)


def _of_mapping(value: Mapping[str, Any], column: str) -> Any:
    if "array" in value and value["array"] is not None:
        rate = value.get("sampling_rate")
        if not isinstance(rate, int) or isinstance(rate, bool) or rate <= 0:
            raise BadRow("malformed", f"`{column}` has the `sampling_rate` {rate!r}, not samples a second")
        return {"array": value["array"], "sampling_rate": rate}
    stored = value.get("bytes")
    if stored is not None and not isinstance(stored, bytes):
        raise BadRow("malformed", f"the `bytes` of `{column}` are a {type(stored).__name__}, not bytes")
    return value.get("path") if stored is None else stored


def open_audio(value: Any) -> Sound:
    """A recording's samples.

    Args:
        value: of a field of kind ``audio``.

    Raises:
        UserError: what reads audio is not installed.
        ValueError: it is no recording, or damaged.
    """
    import numpy as np

    if isinstance(value, Mapping):
        samples, rate = np.asarray(value["array"], dtype=np.float32), int(value["sampling_rate"])
    else:
        samples, rate = _decoded(io.BytesIO(value) if isinstance(value, bytes) else value)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ValueError(f"a recording is finite samples [T], and this is {list(samples.shape)}")
    return Sound(samples.astype(np.float32), rate)


def _decoded(source: Any) -> tuple[Any, int]:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # the library that it wraps may be missing
        raise UserError(
            "recordings are decoded by the package `soundfile`, which is not installed",
            hint="`pip install 'tunesmith[audio]'`",
        ) from error
    try:
        samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    except Exception as error:  # LibsndfileError, and what it wraps
        raise ValueError(f"it is damaged, or in no format that is read: {error}"[:300]) from error
    return samples, int(rate)


def _spell(value: Any, how: Spell) -> str:
    return content_digest(value).hex()


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a recording, {len(value['array']) / value['sampling_rate']:.2f} s"
    return value if isinstance(value, str) else "a recording"


def _draw(value: Any, about: Any) -> Drawing:
    """How loud it is over time: the largest sample of each stretch."""
    import numpy as np

    samples = open_audio(value).samples
    stretches = np.array_split(samples, min(POINTS, len(samples)))
    heights = [float(one[np.abs(one).argmax()]) for one in stretches]
    largest = max(1.0, *map(abs, heights))
    curve = tuple(round(height / largest, 3) for height in heights)
    return Drawing(width=LONGEST_SIDE, height=LONGEST_SIDE // 4, curve=curve)


AUDIO = Kind(
    name="audio",
    read=_read,
    spell=_spell,
    show=_show,
    content=content_digest,
    draw=_draw,
)
