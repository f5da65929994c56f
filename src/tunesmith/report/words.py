"""Numbers as a person would write them. Pure."""

from __future__ import annotations

import math
from typing import Any

from tunesmith.judge import show
from tunesmith.terminal import one_line

ABSENT = "–"
MINUS = "−"


def number(value: Any) -> str:
    """A metric or loss: ``0.865``, ``1.204``, ``12.3``, ``5,381``, ``1.0e-04``; ``–`` if there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ABSENT if value is None else one_line(str(value))
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    if isinstance(value, int) or (value == int(value) and abs(value) >= 1000):
        return f"{int(value):,}".replace("-", MINUS)
    size = abs(value)
    if size != 0 and (size < 1e-3 or size >= 1e6):
        text = f"{value:.2e}"
    elif size < 10:
        text = f"{value:.3f}"
    else:
        text = f"{value:,.1f}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def signed(value: float) -> str:
    """A change, with its sign: ``+0.804``, ``−1.120``."""
    return number(value) if value < 0 else f"+{number(value)}"


def interval(bounds: Any) -> str:
    """A confidence interval, ``0.831 to 0.902``; empty if there is none."""
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return ""
    return f"{number(bounds[0])} to {number(bounds[1])}"


def percent(share: float) -> str:
    """A share of one: ``3.1 %``, ``< 0.1 %``, ``0 %``."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.3g} %"


def duration(seconds: Any) -> str:
    """A time: ``0.8 s``, ``45 s``, ``2 min 18 s``, ``3 h 5 min``, ``2 d 4 h``."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return ABSENT
    return show.duration(seconds)


def size(num_bytes: Any) -> str:
    """A size in memory or on disk, in powers of 1024: ``94.1 MiB``."""
    if isinstance(num_bytes, bool) or not isinstance(num_bytes, int | float):
        return ABSENT
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def phrase(name: str) -> str:
    """A key as words: ``near_duplicates`` is ``near duplicates``."""
    return name.replace("_", " ")
