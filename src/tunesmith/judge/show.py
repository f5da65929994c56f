"""Numbers as people read them."""

from __future__ import annotations

from tunesmith.judge.best import direction


def show(value: float) -> str:
    """A value for people, to three or four digits: ``0.852``, ``12.35``, ``3.1e-05``."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2g}"
    text = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def duration(seconds: float) -> str:
    """A time: ``0.8 s``, ``45 s``, ``2 min 18 s``, ``3 h 5 min``, ``2 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for big, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {big} {rest} {small}" if rest else f"{whole // size} {big}"
    return f"{whole} s"


def better_word(metric: str) -> str:
    """``or more`` or ``or less``: which side of a target is good."""
    return "or more" if direction(metric) == "max" else "or less"


def percent(share: float) -> str:
    """A share as people say it: ``95 %``, ``0.3 %``."""
    return f"{100 * share:.4g} %"
