"""Start the profile's processes, let them meet and reduce a tensor, and never wait longer than said."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.launch.doctor.disk import nearest_folder
from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.network.ranks import Order
from tunesmith.launch.doctor.network.rendezvous import SILENT, Rank, everybody, judge_meeting, note_event
from tunesmith.launch.local.hosts import CONNECT_SECONDS

_SMALLEST_PORT, _PORTS = 20000, 20000


def check_processes(
    order: Order,
    commands: Sequence[Sequence[str]],
    *,
    seconds: float,
    watch: Callable[[Mapping[str, Any]], None] = lambda event: None,
) -> list[DoctorFinding]:
    """Start the programs that fork the ranks, hear them, and judge.

    Args:
        order: what the ranks do.
        commands: one a machine, or one that starts all of them.
        seconds: after which they are ended and judged by what they had said.
        watch: is told each thing that a rank says.
    """
    ranks = {number: Rank() for number in range(order.world)}
    start, programs, noise = time.monotonic(), [], []
    try:
        programs += [_start(command) for command in commands]
        noise = _hear(programs, ranks, start + seconds, watch)
    except OSError as error:
        noise = [str(error)]
    finally:
        for program in programs:
            _end(program)
    if not any(rank.said for rank in ranks.values()) and noise:
        return [_stillborn(commands[0], noise)]
    now = time.monotonic()
    return judge_meeting(ranks, order, now=now, seconds=now - start)


def local_command(order: Order) -> list[str]:
    """What starts the ranks of this machine."""
    return [sys.executable, "-P", "-m", "tunesmith.launch.doctor.network.ranks", order.text()]


def slurm_command(order: Order, machines: int) -> list[str]:
    """What starts the ranks of all machines of the allocation that this process is in."""
    srun = ["srun", f"--nodes={machines}", f"--ntasks={machines}", "--ntasks-per-node=1", "--overlap"]
    return [*srun, "--kill-on-bad-exit=0", *local_command(replace(order, node=None))]


def ssh_commands(order: Order, hosts: Sequence[str]) -> list[list[str]]:
    """What starts the ranks on each of these hosts, in the same folder and environment as here."""
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
    here = shlex.quote(os.getcwd())
    return [
        # Without a terminal nothing ends the far program when ssh ends; its ranks end themselves.
        [*ssh, host, f"cd {here} && exec {shlex.join(local_command(replace(order, node=node)))}"]
        for node, host in enumerate(hosts)
    ]


def free_port(salt: int | None = None) -> int:
    """A port that is free here and now; with a salt, one that is likely to be free elsewhere too."""
    if salt is not None:
        return _SMALLEST_PORT + salt % _PORTS
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def leave_token(run_dir: Path) -> Path | None:
    """A file where the run would write, for every machine to see; None where none can be made."""
    path = nearest_folder(run_dir) / f".tunesmith-doctor-{os.getpid()}-{time.time_ns()}"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return None
    return path


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _hear(
    programs: Sequence[subprocess.Popen[bytes]],
    ranks: Mapping[int, Rank],
    deadline: float,
    watch: Callable[[Mapping[str, Any]], None],
) -> list[str]:
    """Take in what the ranks say, until all are done, all programs have ended, or the time is up.

    Returns:
        What was printed beside it: by libraries, by ssh, or by a program that could not start.
    """
    noise: list[str] = []
    rest: dict[int, bytes] = {}
    with selectors.DefaultSelector() as selector:
        for program in programs:
            assert program.stdout is not None
            selector.register(program.stdout, selectors.EVENT_READ)
        while selector.get_map() and not everybody(ranks, "reduced") and time.monotonic() < deadline:
            for key, _ in selector.select(min(0.5, max(0.0, deadline - time.monotonic()))):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                *lines, rest[key.fd] = (rest.get(key.fd, b"") + data).split(b"\n")
                for line in lines:
                    event = _event(line)
                    if event is None:
                        noise.append(line.decode(errors="replace").strip())
                        continue
                    note_event(ranks, event, time.monotonic())
                    watch(event)
            if any("failed" in rank.said for rank in ranks.values()):
                # The others may say why, or fall silent, which tells whose fault it is.
                deadline = min(deadline, time.monotonic() + SILENT + 0.5)
    return [line for line in noise if line]


def _event(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None  # something that a library printed
    return event if isinstance(event, dict) and {"rank", "what"} <= set(event) else None


def _end(program: subprocess.Popen[bytes]) -> None:
    """End a program and every rank that it forked, stopped ones too; wait for a moment only."""
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        program.wait(2)
    except subprocess.TimeoutExpired:
        pass


def _stillborn(command: Sequence[str], noise: Sequence[str]) -> DoctorFinding:
    """A program that ended before any rank came: no torch, no such host, no srun."""
    what = f"`{Path(command[0]).name}` started no process: {noise[-1][:300]}"
    remedy = "start that command by hand and see; with ssh, a key without a password must be let in"
    return DoctorFinding("processes", "problem", what, remedy)
