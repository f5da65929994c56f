"""Reading what lies in a run directory that may be anybody's: plain files alone, never more than a bound.

A link could bring a file from outside into a page that is sent to others, a pipe would hold whoever opens
it for ever, a device may do anything, and a file with a hole of gigabytes fills the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from tunesmith.errors import UserError

MIB = 2**20
MOST = 64 * MIB
"""Bytes of a file that is read whole, where nothing else is said."""

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def open_plain(path: Path | str) -> int:
    """A descriptor of a plain file, to be read; never waits.

    Raises:
        OSError: there is none, it may not be read, or it is no plain file; ``strerror`` says which.
    """
    _refuse(os.lstat(path).st_mode, path)  # before it is opened, which alone makes some devices act
    descriptor = os.open(path, _FLAGS)
    try:
        _refuse(os.fstat(descriptor).st_mode, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_plain(path: Path | str, most: int = MOST) -> bytes:
    """The whole of a plain file.

    Raises:
        OSError: as ``open_plain``; or the file is larger than ``most`` bytes.
    """
    with open(open_plain(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        parts, left = [], most + 1 if size <= most else 0
        # in pieces: a single read would reserve ``most`` bytes for the smallest file
        while part := file.read(min(left, MIB)):
            parts.append(part)
            left -= len(part)
    data = b"".join(parts)
    if max(size, len(data)) > most:
        raise OSError(errno.EFBIG, f"larger than {most // MIB:,} MiB, which is not read", os.fspath(path))
    return data


def is_there(path: Path | str) -> bool:
    """Whether anything bears this name; false, too, where that cannot be found out."""
    return os.path.lexists(path)


def refuse_closed(folder: Path) -> None:
    """Make sure that a folder which is there may be looked into.

    Raises:
        UserError: it belongs to somebody who keeps it private, or its disk does not answer.
    """
    try:
        with os.scandir(folder):
            pass
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as problem:
        raise UserError(
            f"`{folder}` cannot be looked into: {problem.strerror}",
            hint="ask its owner, or name another run",
        ) from None


def _refuse(mode: int, path: Path | str) -> None:
    if stat.S_ISREG(mode):
        return
    names = {stat.S_IFLNK: "a link, which is not followed", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
    names |= {stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    what = names.get(stat.S_IFMT(mode), "something else")
    raise OSError(errno.EINVAL, f"no plain file: {what}", os.fspath(path))
