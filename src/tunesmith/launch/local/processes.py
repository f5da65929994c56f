"""The processes of a launch on this machine, found in ``/proc``, and signals to them.

``python -m tunesmith.launch.local.processes FOLDER HOST NUMBER`` sends a signal to those of one launch and
says to
how many: so other hosts are asked, over ssh.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tunesmith.world.exit_status import VARIABLE

_LOOK_SECONDS = 0.1


def children_of(pid: int) -> list[int]:
    """Processes that a process has started and that are not over."""
    found = []
    for each in _all():
        # The name in parentheses may hold blanks and parentheses; after it: state, parent.
        state, parent = ([*_read(each, "stat").rpartition(b")")[2].split(), b"", b""])[:2]
        if parent == str(pid).encode() and state != b"Z":
            found.append(each)
    return found


def launched_for(folder: Path) -> list[int]:
    """Every process that has a launch's outcome folder in its environment, but for this one."""
    mark = f"{VARIABLE}={folder}".encode()
    return [each for each in _all() if each != os.getpid() and mark in _read(each, "environ").split(b"\0")]


def ranks_for(folder: Path, host: int) -> list[int]:
    """Those of ``launched_for`` that have a rank and were not started by another one that has.

    Args:
        folder: the launch's outcome folder.
        host: number of the host as DeepSpeed's launcher counts; two may be one machine by two names.
    """
    place = f"CROSS_RANK={host}".encode()
    environs = {each: _read(each, "environ").split(b"\0") for each in launched_for(folder)}
    ranked = {
        each
        for each, lines in environs.items()
        if place in lines and any(line.startswith(b"RANK=") for line in lines)
    }
    started = {child for each in ranked for child in children_of(each)}
    return sorted(ranked - started)


def send(pids: Sequence[int], number: int) -> None:
    """Send a signal to processes, some of which may have ended meanwhile."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_all(folder: Path, seconds: float) -> None:
    """End what a launch has left behind on this machine: asked first, then not asked.

    Args:
        folder: its outcome folder.
        seconds: that they have after they were asked.
    """
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        left = launched_for(folder)
        send(left, number)
        while left and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            left = launched_for(folder)
        if not left:
            return


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""  # It has ended meanwhile, or is not ours.


if __name__ == "__main__":
    _found = ranks_for(Path(sys.argv[1]), int(sys.argv[2]))
    send(_found, int(sys.argv[3]))
    print(len(_found))
