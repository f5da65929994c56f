"""How much rows may hold: a small file that unpacks to more than there is room for is a message.

A bomb (an archive, a Parquet file, a line without an end) is noticed while it is read, row by row, before it
fills the machine.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.world.memory import machine_memory

MOST_CELL = 1 << 26
"""Bytes of a line, and characters of a cell: far above any text that is learnt from."""
_SHARE = 0.5
_ROW, _NUMBER = 300, 32


def room_for_rows(root: Path = Path("/")) -> int:
    """Bytes that the rows of a recipe may hold in this process: half of what there is.

    What there is, is the machine's or the container's memory, or what is left of the process's own limit.

    Args:
        root: where ``proc`` and ``sys`` are found; tests put a small tree there.
    """
    known = [machine_memory(root) or 1 << 60]
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        known.append(max(0, limit - _mapped(root)))
    return int(min(known) * _SHARE)


def size_of(value: Any) -> int:
    """About how many bytes a row's value takes, without looking at each number of a list."""
    if isinstance(value, Mapping):
        return _ROW + sum(size_of(part) for part in value.values())
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], int | float):
            return _NUMBER * len(value)
        return _NUMBER * len(value) + sum(size_of(part) for part in value)
    return int(getattr(value, "nbytes", 0)) or sys.getsizeof(value)


def too_much(place: str, room: int) -> UserError:
    """What is said of a source that needs more room than there is."""
    return UserError(
        f"its rows need more than the {room / 2**30:.1f} GiB of memory that there is room for",
        place,
        "take some of them with `limit` or `first`, part the file, or use a machine with more memory",
    )


def too_packed(place: str, unpacked: int, lines: int) -> UserError:
    """What is said of a packed file that gives far more bytes or lines than rows of text would."""
    return UserError(
        f"it unpacks to {lines:,} lines with {unpacked / 2**20:.1f} MiB and more,"
        " which is far more than its size lets expect",
        place,
        "see where it comes from; if it is meant, unpack it and name the unpacked file",
    )


def too_long(place: str, number: int, longest: int = MOST_CELL) -> UserError:
    """What is said of a line without an end."""
    return UserError(
        f"line {number} has more than {longest >> 20} MiB",
        f"{place}:{number}",
        "see whether the file is what its name says; one row stands on one line",
    )


def _mapped(root: Path) -> int:
    try:
        pages = int((root / "proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
