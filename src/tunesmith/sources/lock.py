"""One process at a time: the others wait, and say so."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.sources.cache import cannot_write

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_SPEAK_AFTER_SECONDS = 15.0


@contextmanager
def locked(path: Path, what: str, patience: float = 3600.0) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; it is freed by the system if the process dies.

    Args:
        path: the lock file; it stays behind, empty of meaning.
        what: what the holder does, for the message of those who wait.
        patience: seconds to wait at most.

    Raises:
        UserError: another process held it for longer than ``patience``, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(error, path.parent) from error
    try:
        _acquire(handle, path, what, patience)
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, what: str, patience: float) -> None:
    start = time.monotonic()
    spoken = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            waited = time.monotonic() - start
        if waited > patience:
            raise UserError(
                f"waited {waited:.0f} s for another process ({_holder(handle)}) that is {what}",
                str(path),
                "see whether that process is stuck, and end it",
            )
        if waited > _SPEAK_AFTER_SECONDS and not spoken:
            _LOG.warning("waiting for another process (%s) that is %s", _holder(handle), what)
            spoken = True
        time.sleep(_POLL_SECONDS)


def _holder(handle: int) -> str:
    text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    return f"pid {text}" if text else "pid unknown"
