"""Asking a running run for something, from outside: a file in its directory, also on a shared file system."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tunesmith.checkpoint.atomic import make_folder, write_json

Wish = Literal["save", "stop"]
WISHES: tuple[Wish, ...] = ("save", "stop")
FOLDER = "requests"


def request(run_dir: Path, wish: Wish) -> Path:
    """Leave a request; the run takes the file away when it has done what was asked.

    Raises:
        UserError: if it cannot be written.
    """
    path = run_dir / FOLDER / wish
    make_folder(path.parent)
    write_json(path, {"host": socket.gethostname(), "pid": os.getpid(), "at": time.time()})
    return path


def acknowledge(run_dir: Path, wish: Wish) -> None:
    """Take a request away: it is done, or there is nothing to be done any more."""
    (run_dir / FOLDER / wish).unlink(missing_ok=True)


class Requests:
    """Looks for requests, at most once in a while: a look costs a network file system a round trip.

    Args:
        run_dir: the run's.
        every: seconds between two looks.
        clock: tells seconds.
    """

    def __init__(
        self, run_dir: Path, *, every: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run_dir, self._every, self._clock = run_dir, every, clock
        self._next = 0.0

    def seen(self) -> frozenset[Wish]:
        """What is asked for."""
        now = self._clock()
        if now < self._next:
            return frozenset()
        self._next = now + self._every
        return frozenset(wish for wish in WISHES if (self._run_dir / FOLDER / wish).exists())
