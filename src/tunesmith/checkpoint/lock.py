"""A run directory belongs to one process at a time.

The owner holds an exclusive ``flock`` on ``owner.lock``. The kernel releases it when the process
ends, however it ends, so no lock is ever stale; the file's text only says who it is or was.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import FILE_MODE, make_folder, writing
from tunesmith.checkpoint.plain_file import open_plain
from tunesmith.errors import UserError

LOCK_FILE = "owner.lock"
PATIENCE = 1.0
"""Seconds in which a directory may become free before it counts as another's."""
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Ownership:
    """Proof that this process owns a run directory; valid inside ``with own(...)``.

    Attributes:
        run_dir: the folder.
        descriptor: of the locked file.
    """

    run_dir: Path
    descriptor: int

    def check(self) -> None:
        """Make sure that it is still ours, before something is published.

        Raises:
            UserError: if ``owner.lock`` was removed or replaced, so that another process may write here.
        """
        path = self.run_dir / LOCK_FILE
        ours = os.fstat(self.descriptor)
        try:
            there = path.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev):
            raise UserError(
                "the run directory has been taken over: its `owner.lock` is no longer the one this run holds",
                where=str(path),
                hint="nothing was written; look for a second run on this folder, end it, and start again",
            )


@contextlib.contextmanager
def own(run_dir: Path, about: Mapping[str, Any] | None = None) -> Iterator[Ownership]:
    """Own a run directory until the end of the block or of the process.

    Args:
        run_dir: made if missing.
        about: further facts for whoever finds the folder taken, e.g. a job's number.

    Raises:
        UserError: if another process owns it (its host, number and start are named), or if the file
            system has no locks.
    """
    make_folder(run_dir)
    path = run_dir / LOCK_FILE
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    holding = {"descriptor": descriptor}
    try:
        _lock(descriptor, path)
        _sign(descriptor, path, about or {})
        # A forked worker inherits the open file and with it the lock; it must not outlive its parent.
        os.register_at_fork(after_in_child=lambda: _forget(holding))
        yield Ownership(run_dir, descriptor)
        if holding:  # empty in a forked child that comes this way
            os.ftruncate(descriptor, 0)
    finally:
        _forget(holding)


def owner_of(run_dir: Path) -> dict[str, Any] | None:
    """Who owns a run directory now (``host``, ``pid``, ``start`` …), ``None`` if nobody does.

    Raises:
        OSError: the lock cannot be read, or is no plain file.
    """
    try:
        descriptor = open_plain(run_dir / LOCK_FILE)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int, path: Path) -> None:
    try:
        _take_within(descriptor, PATIENCE)
    except BlockingIOError:
        raise UserError(
            f"this run directory is in use by {_describe(_read(descriptor))}",
            where=str(path.parent),
            hint="wait for it or end it, or give this run another folder with `run.dir=…`",
        ) from None
    except OSError as problem:
        if problem.errno not in _NOT_SUPPORTED:
            raise
        raise UserError(
            f"this file system has no locks ({problem.strerror}), so two runs might overwrite each other",
            where=str(path.parent),
            hint="choose a `run.dir` on another file system, or mount it with locks (Lustre: `-o flock`)",
        ) from problem


def _take_within(descriptor: int, seconds: float) -> None:
    """Take the lock; who only looks (``owner_of``) holds it for an instant, which is waited out."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _sign(descriptor: int, path: Path, about: Mapping[str, Any]) -> None:
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
    }
    with writing(path):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (json.dumps(owner) + "\n").encode(), 0)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        owner = json.loads(os.pread(descriptor, 65536, 0))
    except (ValueError, RecursionError):
        return {}  # its owner is just now writing it
    return owner if isinstance(owner, dict) else {}


def _describe(owner: Mapping[str, Any]) -> str:
    if not {"host", "pid", "start"} <= owner.keys():
        return "another process"
    others = "".join(
        f", {key} {value}" for key, value in owner.items() if key not in ("host", "pid", "start") and value
    )
    return f"process {owner['pid']} on {owner['host']}, started {owner['start']}{others}"


def _forget(holding: dict[str, int]) -> None:
    """Close the file once; in the owner this releases the lock, in a forked child it only lets go."""
    descriptor = holding.pop("descriptor", None)
    if descriptor is not None:
        os.close(descriptor)
