"""A program that a model wrote, run in a process that can do little and does not last.

What holds: seconds of processor and of wall time, memory, processes and disk, each bounded for all that it
starts together; size and number of files, no core dump; an empty environment and an empty temporary folder,
which goes away with all that is in it; all that it started is killed at the end. Where the system lets an
ordinary user make namespaces, it also has no network, sees no other process, and writes nowhere but into a
disk of its own; where the system has Landlock, it reads nothing but its folder and what Python is made of.
What does not hold without these: it reads every file that this user can read and, with a path from
elsewhere, writes where this user may write. It is a net for what a model writes by accident. For a model
that means harm, run the whole of tunesmith in a container.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from tunesmith.metrics.sandboxed import confined

MOST_OUTPUT = 1 << 20
MOST_REPLY = 64
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_GRACE = 2.0  # seconds for the watching process to end what it watches


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use, with all that it starts.

    Attributes:
        seconds: of wall time, and of processor time.
        memory: MiB.
    """

    seconds: float = 5.0
    memory: int = 512


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: in order or not, what it had written, and what it replied when it was asked."""

    ended_well: bool
    output: str
    reply: bytes = b""


def run_all(programs: Sequence[str], limits: Limits, workers: int) -> list[Ran]:
    """Run programs, ``workers`` at a time."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return list(pool.map(lambda program: run_program(program, limits), programs))


def run_program(program: str, limits: Limits) -> Ran:
    """Run one Python program."""
    return run_files({"program.py": program}, ["program.py"], limits)


def run_files(files: Mapping[str, str], command: Sequence[str], limits: Limits, asked: bytes = b"") -> Ran:
    """Run a Python program that has several files in its folder.

    Args:
        files: name to text.
        command: the file to run, and its arguments.
        limits: what it may use.
        asked: if given, the program has two more arguments, a pipe to read this from and one to write to.
            It says one byte when it wants to read, and nothing is there before; then it says its reply.
    """
    with tempfile.TemporaryDirectory(prefix="tunesmith-code-", ignore_cleanup_errors=True) as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8", errors="backslashreplace")
        with tempfile.TemporaryFile() as output:
            well, reply = _run_in(folder, command, output.fileno(), limits, _confinement(), asked)
            output.seek(0)
            return Ran(well, output.read(MOST_OUTPUT).decode("utf-8", "replace"), reply)


def can_be_apart() -> bool:
    """Whether this system lets a program have no network, a process tree and a disk of its own."""
    return bool(_confinement() & confined.APART)


@cache
def _confinement() -> int:
    """The closest confinement under which a program runs on this system."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-code-") as folder:
        Path(folder, "program.py").write_text("", encoding="utf-8")
        ways = (confined.APART | confined.HIDDEN, confined.APART, confined.HIDDEN, 0)
        for how in [confined.OTHER_USER | way for way in ways if not os.getuid()] + [*ways[:-1]]:
            if _run_in(folder, ["program.py"], subprocess.DEVNULL, Limits(seconds=20), how)[0]:
                return how
    return 0


def _run_in(
    folder: str, command: Sequence[str], output: int, limits: Limits, how: int, asked: bytes = b""
) -> tuple[bool, bytes]:
    pipes = [os.pipe(), os.pipe()] if asked else []
    theirs = [pipes[0][0], pipes[1][1]] if asked else []
    numbers = (limits.seconds, limits.memory, MOST_OUTPUT, how)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", confined.__file__, *map(str, (*numbers, *command, *theirs))],
        cwd=folder,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, **_ONE_THREAD},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=theirs,
    )
    for end in theirs:
        os.close(end)
    until, reply = time.monotonic() + limits.seconds + _GRACE, b""
    try:
        if asked:
            reply = _talk(pipes[1][0], pipes[0][1], asked, until)
        return process.wait(max(0.0, until - time.monotonic())) == 0, reply
    except subprocess.TimeoutExpired:
        return False, reply
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def _talk(listen: int, tell: int, asked: bytes, until: float) -> bytes:
    """Tell what is asked when a first byte comes; gives what comes then."""
    with open(listen, "rb", buffering=0) as ours, open(tell, "wb", buffering=0) as theirs:
        if not (_ready(ours, select.POLLIN, until) and ours.read(1)):
            return b""
        os.set_blocking(tell, False)
        while asked:
            if not _ready(theirs, select.POLLOUT, until):
                return b""
            try:
                asked = asked[theirs.write(asked) or 0 :]
            except BrokenPipeError:
                return b""
        theirs.close()
        reply = b""
        while len(reply) < MOST_REPLY and _ready(ours, select.POLLIN, until) and (more := ours.read(1)):
            reply += more
        return reply


def _ready(pipe: IO[bytes], what: int, until: float) -> bool:
    poll = select.poll()
    poll.register(pipe, what)
    return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))
