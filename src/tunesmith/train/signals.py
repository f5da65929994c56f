"""Being told to stop. A handler only sets a flag; whoever can leave looks at it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

ASKS_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class Leaving(Exception):
    """This process was asked to leave and can do so at once: what it was about will be done again."""


@dataclass(slots=True)
class StopFlag:
    """Set by a signal, read by the loop.

    Attributes:
        signal: the name of the newest signal; empty if there was none.
        launcher: number of the process that launched this one and whose end counts as a signal, too:
            ``accelerate launch`` dies of SIGTERM without a word to what it launched.
        told: whether another process of the run was asked (see ``watch.py``).
    """

    signal: str = ""
    launcher: int | None = None
    told: bool = False

    @property
    def asked(self) -> bool:
        """Whether to leave."""
        return bool(self.signal) or self.told or self.orphaned

    @property
    def orphaned(self) -> bool:
        """Whether the launcher is gone."""
        return self.launcher is not None and os.getppid() != self.launcher


@contextmanager
def listen(*, to_launcher: bool = False) -> Iterator[StopFlag]:
    """Turn SIGTERM, SIGINT and SIGUSR2 into a flag; a second SIGINT interrupts at once.

    Args:
        to_launcher: whether the parent process is a launcher, without which this one shall not go on.
    """
    flag = StopFlag(launcher=os.getppid() if to_launcher else None)

    def note(number: int, frame: FrameType | None) -> None:
        if flag.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.signal = signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in ASKS_TO_STOP}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back for a moment. Processes that are started meanwhile never get them.

    A signal to the whole process group then reaches no worker, not even one that only begins.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
