"""The cache folder, and how something comes to stand in it: whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import UserError

_MENDABLE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
}


def cache_folder() -> Path:
    """``$TUNESMITH_CACHE``, or ``~/.cache/tunesmith``."""
    named = os.environ.get("TUNESMITH_CACHE")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "tunesmith"


@contextmanager
def building(final: Path) -> Iterator[Path]:
    """A fresh folder beside ``final`` that becomes ``final`` if the block ends without an exception.

    Processes that build the same thing at once are safe: the first to end wins, the others' work is
    thrown away. Whatever goes wrong, nothing is left behind except after a kill.

    Raises:
        UserError: the folder cannot be written (full disk, no permission).
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        fresh = final.parent / f".{final.name[:40]}.{uuid.uuid4().hex}"
        fresh.mkdir()
        try:
            yield fresh
            _publish(fresh, final)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise cannot_write(error, final.parent) from error


def cannot_write(error: OSError, folder: Path) -> Exception:
    """The user's error, if it is the user's to mend (full disk, no permission); otherwise the same one."""
    if error.errno not in _MENDABLE:
        return error
    return UserError(
        f"the cache cannot be written: {error.strerror}",
        str(folder),
        "make room there, or set TUNESMITH_CACHE to a folder with room",
    )


def _publish(fresh: Path, final: Path) -> None:
    for path in [*fresh.rglob("*"), fresh]:
        _fsync(path)
    try:
        fresh.rename(final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return  # another process was first, with the same bytes
    _fsync(final.parent)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(expected: str, actual: str, what: str, where: str = "", hint: str = "") -> None:
    """Compare two hexadecimal digests.

    Raises:
        UserError: they differ, or ``expected`` is not a SHA-256.
    """
    wanted = expected.strip().lower()
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise UserError(
            f"`sha256: {expected}` is not a SHA-256",
            where,
            "it has 64 hexadecimal digits, as sha256sum prints",
        )
    if wanted != actual:
        raise UserError(
            f"{what} has the SHA-256 {actual}, not {wanted}",
            where,
            hint or "the bytes are not the ones that the recipe means; correct the source or the `sha256`",
        )
