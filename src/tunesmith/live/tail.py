"""The new lines of a growing ``metrics.jsonl``, also over a shared file system."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.checkpoint.plain_file import MIB, open_plain
from tunesmith.report.run_files import Record, metric_line

MOST_AT_ONCE = 64 * MIB
MOST_BACK = 1024 * MIB
"""Of a larger journal only so much of its end is read."""


@dataclass(frozen=True, slots=True)
class FilePosition:
    """How far a file has been read.

    Attributes:
        inode: of the file; a run that goes on from a checkpoint may have written it anew.
        offset: bytes read, always the end of a line.
    """

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What was added: records in order, where to go on, and whether they replace all that was read before.

    ``more`` says that the file has more already, which the next call gives.
    """

    records: Sequence[Record]
    place: FilePosition
    anew: bool
    more: bool = False


def read_new(
    path: Path, place: FilePosition, *, skip: bytes = b"", skip_but: int = 0, most: int = MOST_AT_ONCE
) -> News:
    """Read what was added to a file since ``place``.

    A last line without its end is a write in progress; it is left for the next time. So is a last line
    with zero bytes in it, which a file system shows where another machine's data has not arrived. A file
    that is shorter than before, or another one, is read from its start. Other broken lines are passed over,
    and so is a line longer than ``most``. What is no plain file counts as not there.

    Args:
        path: of the file, which need not be there.
        place: what this gave the last time.
        skip: lines that begin so are left out, unparsed, which saves most of the time of a long file.
        skip_but: how many of them, the last ones, are given all the same.
        most: bytes that are read at once.
    """
    try:
        descriptor = open_plain(path)
    except OSError:
        return News((), FilePosition(), anew=place != FilePosition())
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        same = status.st_ino == place.inode and status.st_size >= place.offset
        start = max(place.offset if same else 0, status.st_size - MOST_BACK)
        file.seek(start)
        data = file.read(min(most, status.st_size - start))
    more = start + len(data) < status.st_size
    whole = data[: _end_of_lines(data)]
    if more and not whole:
        whole = data
    lines = whole.splitlines()
    if skip:
        last = [index for index, line in enumerate(lines) if line.startswith(skip)][-skip_but:]
        first = last[0] if last else len(lines)
        lines = [line for index, line in enumerate(lines) if index >= first or not line.startswith(skip)]
    records = [record for line in lines if (record := metric_line(line)) is not None]
    return News(
        records, FilePosition(status.st_ino, start + len(whole)), not same and place != FilePosition(), more
    )


def _end_of_lines(data: bytes) -> int:
    end = data.rfind(b"\n") + 1
    last = data.rfind(b"\n", 0, max(0, end - 1)) + 1
    return last if b"\0" in data[last:end] else end
