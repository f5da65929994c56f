"""Being told to stop. A handler only sets a flag; the loop looks at it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

ASKS_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


@dataclass(slots=True)
class StopFlag:
    """Set by a signal, read by the loop."""

    asked: bool = False
    signal: str = ""


@contextmanager
def listen() -> Iterator[StopFlag]:
    """Turn SIGTERM, SIGINT and SIGUSR2 into a flag; a second SIGINT interrupts at once."""
    flag = StopFlag()

    def note(number: int, frame: FrameType | None) -> None:
        if flag.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.asked, flag.signal = True, signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in ASKS_TO_STOP}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
