"""A launch within a step of SLURM's, where a signal comes to every process at once.

Launchers die of it, or end their processes after 30 s. Here they ignore it. So does what they start until it
listens by itself, for this is inherited; therefore it is told again and again.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tunesmith.launch.local.processes import children_of, send
from tunesmith.world.signals import ASKS_TO_STOP

_REMIND_SECONDS = 1.0


def in_step(environ: Mapping[str, str]) -> bool:
    """Whether this is a task of a SLURM step."""
    return "SLURM_STEP_ID" in environ


def environment_of_step(environ: Mapping[str, str]) -> dict[str, str]:
    """What a launcher in a step needs: torch's would install handlers over what it inherits."""
    return {"TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGQUIT"} if in_step(environ) else {}


def ignore_signals() -> None:
    """For the launcher, before it starts; what is left of a step is ended by SLURM itself."""
    for number in ASKS_TO_STOP:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def reminding(
    launcher: subprocess.Popen[bytes], came: Sequence[int], environ: Mapping[str, str]
) -> Iterator[None]:
    """Tell what a launcher in a step has started that a signal came, until it has ended.

    Args:
        launcher: at work.
        came: the signals so far; it grows.
        environ: tells whether this is a step.
    """
    over = threading.Event()

    def remind() -> None:
        while not over.wait(_REMIND_SECONDS):
            if came:
                send(children_of(launcher.pid), signal.SIGUSR2)

    thread = threading.Thread(target=remind, daemon=True)
    if in_step(environ):
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
