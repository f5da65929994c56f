"""Starting a launcher, passing signals on to what it launched, and learning how that ended."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tunesmith.errors import Exit
from tunesmith.launch.local.hosts import RemoteProcesses
from tunesmith.launch.local.processes import children_of, end_all, send
from tunesmith.launch.local.srun_step import environment_of_step, ignore_signals, in_step, reminding
from tunesmith.world.exit_status import VARIABLE, ExitRecord, read_outcomes
from tunesmith.world.signals import heard_signals

PEER_SECONDS = 20.0
"""How long the other processes have to end after one of them has ended with a mistake or a fault."""

SURVIVOR_SECONDS = 30.0
"""How long processes that outlive their launcher have to save and end."""

_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a launch ended.

    Attributes:
        returncode: of the launcher.
        outcomes: what its processes left, by rank.
        asked: whether a signal asked to stop.
    """

    returncode: int
    outcomes: Sequence[ExitRecord]
    asked: bool


@dataclass(slots=True)
class _Requests:
    """Signals that came: all of them, and those that are not passed on yet."""

    came: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)


def run_launcher(
    words: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    remote: RemoteProcesses | None = None,
) -> Ended:
    """Run a launch command to its end, with each signal that asks to stop passed on once.

    Args:
        words: the command.
        environ: its environment.
        folder: fresh and empty, on a disk that all machines see; outcomes are left there.
        remote: the processes, where they are not the launcher's children here.
    """
    with _noting_signals() as requests:
        # A session of its own: Ctrl-C reaches it once, through us. Its end follows ours, whatever ends us.
        launcher = subprocess.Popen(
            words,
            env={**environ, **environment_of_step(environ), VARIABLE: str(folder)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # There are no threads yet.
            preexec_fn=ignore_signals if in_step(environ) else _end_with_parent,  # noqa: PLW1509
        )
        with reminding(launcher, requests.came, environ):
            returncode = _wait(launcher, folder, requests, remote)
        end_all(folder, SURVIVOR_SECONDS)
    return Ended(returncode, read_outcomes(folder), bool(requests.came))


def exit_status(ended: Ended, processes: int) -> int:
    """The status of the contract, from what the processes left; the launcher's own says little.

    A mistake of the user's in one process makes the others fail, so it counts first. Being preempted
    counts if we were asked to stop, or all of them were: else one is gone without a word.
    """
    statuses = [outcome.status for outcome in ended.outcomes]
    if Exit.USER in statuses:
        return Exit.USER
    others = [status for status in statuses if status not in (Exit.FINISHED, Exit.PREEMPTED)]
    if others:
        return others[0]
    all_preempted = statuses.count(Exit.PREEMPTED) == processes
    if all_preempted or (ended.asked and (Exit.PREEMPTED in statuses or ended.returncode)):
        return Exit.PREEMPTED
    finished = ended.returncode == 0 and Exit.PREEMPTED not in statuses
    return Exit.FINISHED if finished else Exit.FAULT


@contextmanager
def _noting_signals() -> Iterator[_Requests]:
    requests = _Requests()

    def note(number: int, frame: FrameType | None) -> None:
        requests.came.append(number)
        requests.waiting.append(number)

    # Below torch's launcher we are not: SIGHUP is left off where `nohup` says so.
    before = {number: signal.signal(number, note) for number in heard_signals({}, None)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(
    launcher: subprocess.Popen[bytes], folder: Path, requests: _Requests, remote: RemoteProcesses | None
) -> int:
    """Wait for the launcher; pass signals on; end it where one process failed and the others go on."""
    deadline, look = None, 0.0
    while True:
        try:
            return launcher.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        while requests.waiting and _pass_on(launcher, requests.waiting[0], remote):
            requests.waiting.pop(0)
            look = now + PEER_SECONDS
        failed = any(one.status in (Exit.USER, Exit.FAULT) for one in read_outcomes(folder))
        deadline = now + PEER_SECONDS if failed and deadline is None else deadline
        if deadline is not None and now > deadline:
            _end_the_others(launcher, folder, remote)
            deadline = None
        if remote is not None and 0 < look < now:
            # Asked before it could listen, the first host ends without a word to the others.
            look = now + PEER_SECONDS
            if remote.signal(0, first_host_only=True) == 0:
                remote.signal(signal.SIGTERM)


def _pass_on(launcher: subprocess.Popen[bytes], number: int, remote: RemoteProcesses | None) -> bool:
    """Send a signal to what was launched; false if there is nothing yet on the hosts.

    The launchers are spared. Told to end, torch's kills what has not ended after 30 s, and DeepSpeed's ends
    every other launch of the same user on the hosts as well.
    """
    if remote is not None:
        # The processes agree to stop; where the signal comes late, they may not listen any more.
        return remote.signal(number, first_host_only=True) > 0
    children = children_of(launcher.pid)
    if children:
        send(children, number)
    else:
        launcher.terminate()  # Nothing is lost: it has not started anything.
    return True


def _end_the_others(launcher: subprocess.Popen[bytes], folder: Path, remote: RemoteProcesses | None) -> None:
    if remote is not None:
        remote.signal(signal.SIGKILL)
    else:
        launcher.terminate()
        end_all(folder, SURVIVOR_SECONDS)


def _end_with_parent() -> None:
    """Ask Linux to end the launcher when the process that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
