"""Numbers as people read them: metrics, shares, times, sizes; and tables of them. Pure."""

from __future__ import annotations

import math
from typing import Any

from tunesmith.terminal import one_line


def bytes_text(count: float) -> str:
    """``1.5 GiB``: powers of 1024, as devices and tools count memory."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            value = count / size
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{count:.0f} B"


def flops_text(count: float) -> str:
    """``1.2 PFLOP``."""
    for unit, size in (("ZFLOP", 1e21), ("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e6:.3g} MFLOP"


def seconds_text(seconds: float) -> str:
    """``2.3 h``, ``14 min``, ``31 s``, ``12 ms``."""
    for unit, size in (("days", 2 * 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / (86400.0 if unit == 'days' else size):.3g} {unit}"
    return f"{seconds * 1000:.3g} ms"


def table_text(head: tuple[str, ...], rows: list[tuple[str, ...]], *, left: int = 1) -> list[str]:
    """Lines of a table; the first ``left`` columns are flush left, numbers flush right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]


def show(value: float) -> str:
    """A value for people, to three or four digits: ``0.852``, ``12.35``, ``3.1e-05``."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2g}"
    text = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def percent_exact(share: float) -> str:
    """A share as people say it: ``95 %``, ``0.3 %``."""
    return f"{100 * share:.4g} %"


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


def chance(p: float | None) -> str:
    """A p-value: ``0.032``, ``< 0.001``, ``> 0.99``; ``–`` if there is none."""
    if p is None:
        return ABSENT
    return "< 0.001" if p < 0.001 else "> 0.99" if p > 0.99 else f"{p:.2g}"


def chance_named(p: float | None) -> str:
    """The same in a sentence: ``p = 0.032``, ``p < 0.001``; empty if there is none."""
    return "" if p is None else f"p {chance(p)}" if chance(p)[0] in "<>" else f"p = {chance(p)}"


def duration(seconds: Any) -> str:
    """A time: ``0.8 s``, ``45 s``, ``2 min 18 s``, ``3 h 5 min``, ``2 d 4 h``."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return ABSENT
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for big, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {big} {rest} {small}" if rest else f"{whole // size} {big}"
    return f"{whole} s"


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


def is_number(value: Any) -> bool:
    """Whether a value is a number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
