"""Being told to stop. A handler only sets a flag; the loop looks at it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

ASKS_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


@dataclass(slots=True)
class StopFlag:
    """Set by a signal, read by the loop.

    Attributes:
        signal: the name of the newest signal; empty if there was none.
        launcher: number of the process that launched this one and whose end counts as a signal, too:
            ``accelerate launch`` dies of SIGTERM without a word to what it launched.
    """

    signal: str = ""
    launcher: int | None = None

    @property
    def asked(self) -> bool:
        """Whether to leave."""
        return bool(self.signal) or (self.launcher is not None and os.getppid() != self.launcher)


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
