"""A program that a model wrote, run in a process that can do little and does not last.

What holds: seconds of processor and of wall time, memory, size and number of files, no core dump; an empty
environment and an empty temporary folder, which goes away with all that is in it; its whole process group
is killed at the end. Where the system lets an ordinary user make namespaces, it also has no network, and
all that it started dies with it. What does not hold: it reads every file that this user can read and, with
a path from elsewhere, writes where this user may write. It is a net for what a model writes by accident. For
a model that means harm, run the whole of tunesmith in a container.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MOST_OUTPUT = 1 << 20
_WRAPPER = """\
import ctypes, os, resource, signal, sys
seconds, memory, most, apart = (int(word) for word in sys.argv[1:5])
limits = {"CPU": seconds, "AS": memory, "FSIZE": most, "NOFILE": 64, "CORE": 0}
libc = ctypes.CDLL(None, use_errno=True)
if apart:  # a user's, a network's, a process tree's and a memory's namespace of its own
    if libc.unshare(0x10000000 | 0x40000000 | 0x20000000 | 0x08000000) != 0:
        sys.exit(99)
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.exit(status if status >= 0 else 128 - status)
libc.prctl(1, signal.SIGKILL)
for name, limit in limits.items():
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
os.execv(sys.executable, [sys.executable, "-I", "-B", "program.py"])
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use.

    Attributes:
        seconds: of wall time, and of processor time.
        memory: address space in MiB.
    """

    seconds: float = 5.0
    memory: int = 512


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: in order or not, and what it had written."""

    ended_well: bool
    output: str


def run_all(programs: Sequence[str], limits: Limits, workers: int) -> list[Ran]:
    """Run programs, ``workers`` at a time."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return list(pool.map(lambda program: run(program, limits), programs))


def run(program: str, limits: Limits) -> Ran:
    """Run one Python program."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-code-", ignore_cleanup_errors=True) as folder:
        Path(folder, "program.py").write_text(program, encoding="utf-8", errors="backslashreplace")
        with tempfile.TemporaryFile() as output:
            well = _run_in(folder, output.fileno(), limits, apart=can_be_apart())
            output.seek(0)
            return Ran(well, output.read(MOST_OUTPUT).decode("utf-8", "replace"))


@cache
def can_be_apart() -> bool:
    """Whether this system lets a program have no network and a process tree of its own."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-code-") as folder:
        Path(folder, "program.py").write_text("", encoding="utf-8")
        return _run_in(folder, subprocess.DEVNULL, Limits(seconds=20), apart=True)


def _run_in(folder: str, output: int, limits: Limits, *, apart: bool) -> bool:
    numbers = (max(1, round(limits.seconds)), limits.memory << 20, MOST_OUTPUT, int(apart))
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WRAPPER, *map(str, numbers)],
        cwd=folder,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limits.seconds + 1.0) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
