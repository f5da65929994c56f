"""Being told to stop. A handler only sets a flag; whoever can leave looks at it.

Python carries out a handler between two of its own instructions, so not while a library waits in C, for other
processes say. The number of each signal is therefore written to a pipe as well, which a thread reads.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from tunesmith.world.launcher import ProcessIdentity, announced, launched_by

ASKS_TO_STOP = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGUSR2,
    signal.SIGUSR1,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGXCPU,
)
"""Batch systems announce an end with any of the user's two or SIGXCPU, a closed terminal with SIGHUP."""
NOTICE = 10.0
"""Seconds that what loses nothing may take to notice that it was asked to leave."""
_LOOK = 0.25


class Leaving(Exception):
    """This process was asked to leave and can do so at once: what it was about will be done again."""


@dataclass(slots=True)
class StopFlag:
    """Set by a signal, read by the loop.

    Attributes:
        signal: the name of the newest signal; empty if there was none.
        launcher: the process that launched this one and whose end counts as a signal, too:
            ``accelerate launch`` dies of SIGTERM without a word to what it launched.
        told: whether another process of the run was asked (see ``watch.py``).
        waiting: whether the process only waits for others, without anything to lose.
    """

    signal: str = ""
    launcher: ProcessIdentity | None = None
    told: bool = False
    waiting: bool = False

    @property
    def asked(self) -> bool:
        """Whether to leave."""
        return bool(self.signal) or self.told or self.orphaned

    @property
    def orphaned(self) -> bool:
        """Whether the launcher is gone."""
        return self.launcher is not None and not self.launcher.is_there()


@contextmanager
def listen(leave: Callable[[], None] | None = None) -> Iterator[StopFlag]:
    """Turn signals that ask to stop, and the end of a launcher, into a flag; a second SIGINT interrupts.

    Args:
        leave: ends the process; called from a thread if it was asked to leave and does nothing but wait for
            others, who may never come.
    """
    flag = StopFlag(launcher=launched_by(os.getpid(), *announced(os.environ)))
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted and number == signal.SIGINT:
            raise KeyboardInterrupt
        noted.append(number)
        flag.signal = signal.Signals(number).name

    hears = heard_signals(os.environ, flag.launcher)
    before = {number: signal.signal(number, note) for number in hears}
    try:
        with _heard_at_once(flag, frozenset(hears), leave):
            yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heard_signals(environ: Mapping[str, str], launcher: ProcessIdentity | None) -> tuple[signal.Signals, ...]:
    """The signals that ask to stop here: SIGHUP does not where ``nohup`` has turned it off.

    But it does below torch's launcher: that one listens to it all the same, passes it on, and kills what
    has not ended after 30 s.
    """
    deaf = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    if deaf and not (launcher is not None and "TORCHELASTIC_RUN_ID" in environ):
        return tuple(number for number in ASKS_TO_STOP if number != signal.SIGHUP)
    return ASKS_TO_STOP


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


@contextmanager
def _heard_at_once(flag: StopFlag, hears: frozenset[int], leave: Callable[[], None] | None) -> Iterator[None]:
    """Have a thread set the flag whatever the main thread is about."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    owner, over = os.getpid(), threading.Event()
    # In a forked worker a signal is its own affair, and does not ask this process.
    os.register_at_fork(after_in_child=lambda: None if over.is_set() else _forget_wakeup())

    def hear() -> None:
        while data := os.read(reading, 64):
            for number in data:
                if number in hears:
                    flag.signal = signal.Signals(number).name

    def leave_waiting() -> None:
        asked_for = 0.0
        while not over.wait(_LOOK):
            asked_for = asked_for + _LOOK if flag.waiting and flag.asked else 0.0
            if leave is not None and asked_for > NOTICE:
                leave()

    threads = [threading.Thread(target=each, name="signals", daemon=True) for each in (hear, leave_waiting)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if os.getpid() == owner:
            signal.set_wakeup_fd(before)
            os.close(writing)
            threads[0].join(1.0)
            os.close(reading)


def _forget_wakeup() -> None:
    with suppress(ValueError):
        signal.set_wakeup_fd(-1)
