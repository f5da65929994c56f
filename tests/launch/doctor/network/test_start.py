"""Ranks that meet, that stop, that die, and that find no way: real processes, and none is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.network.placement import placement_of
from tunesmith.launch.doctor.network.ranks import Order
from tunesmith.launch.doctor.network.start import check_processes, free_port, local_command, ssh_commands
from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.launch.local.hosts import Host


def order(**changes) -> Order:
    return replace(Order(world=2, local=2, node=0, port=free_port(), megabytes=4), **changes)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def run(
    given: Order, seconds: float, watch=lambda event: None, commands=None
) -> tuple[list[DoctorFinding], float]:
    """The findings, and how long they took; makes sure that every rank is gone."""
    pids = []

    def note(event) -> None:
        pids.extend([event["pid"]] if "pid" in event else [])
        watch(event)

    start = time.monotonic()
    found = check_processes(given, commands or [local_command(given)], seconds=seconds, watch=note)
    elapsed = time.monotonic() - start
    time.sleep(0.1)
    assert [pid for pid in pids if not gone(pid)] == []
    return found, elapsed


def test_two_ranks_meet_and_reduce() -> None:
    (found,), _ = run(order(megabytes=32), 60)
    assert found.state in ("ok", "warning")
    assert "2 processes met and reduced 32 MB" in found.what
    assert "GB/s" in found.what


@pytest.mark.slow
def test_eight_ranks_meet_too() -> None:
    (found,), _ = run(order(world=8, local=8, megabytes=1), 60)
    assert "8 processes met" in found.what


def test_a_stopped_rank_is_named_and_the_time_is_kept() -> None:
    def stop(event) -> None:
        if event["what"] == "came" and event["rank"] == 1:
            os.kill(event["pid"], signal.SIGSTOP)

    (found,), elapsed = run(order(), 8, stop)
    assert found.state == "problem"
    assert "rank 1 (process " in found.what
    assert "no sign of life" in found.what
    assert found.remedy
    assert elapsed < 12


def test_a_killed_rank_is_named() -> None:
    def kill(event) -> None:
        if event["what"] == "came" and event["rank"] == 1:
            os.kill(event["pid"], signal.SIGKILL)

    (found,), elapsed = run(order(), 8, kill)
    assert found.state == "problem"
    assert "rank 1" in found.what
    assert elapsed < 12


def test_a_rank_that_never_starts_is_named() -> None:
    # Of three ranks this machine starts two, and nobody the third.
    (found,), elapsed = run(order(world=3, local=2), 6)
    assert found.state == "problem"
    assert "rank 2 did not come within 6 s, of 3" in found.what
    assert elapsed < 10


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = holder.getsockname()[1]
        found, elapsed = run(order(port=port), 8)
    text = " ".join(each.what + each.remedy for each in found)
    assert any(each.state == "problem" for each in found)
    assert str(port) in text
    assert elapsed < 12


def test_a_program_that_is_not_there() -> None:
    (found,), elapsed = run(order(), 5, commands=[["srun-that-is-nowhere", "-N2"]])
    assert found.state == "problem"
    assert "srun-that-is-nowhere" in found.what
    assert elapsed < 2


def test_a_program_that_ends_at_once_says_why() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such partition')"]
    (found,), elapsed = run(order(), 20, commands=[command])
    assert "no such partition" in found.what
    assert elapsed < 10


def test_ranks_end_by_themselves_if_nobody_ends_them() -> None:
    # As on another machine, whose ssh is gone: one rank waits for another that does not come.
    alone = order(world=2, local=1, seconds=3)
    start = time.monotonic()
    done = subprocess.run(local_command(alone), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert time.monotonic() - start < 30


def test_over_ssh_each_host_gets_its_number() -> None:
    commands = ssh_commands(order(world=4), ["a", "b"])
    assert [command[:1] + command[-2:-1] for command in commands] == [["ssh", "a"], ["ssh", "b"]]
    assert '"node": 1' in commands[1][-1]
    assert "BatchMode=yes" in commands[0]


@pytest.mark.parametrize(
    ("needs", "environ", "hosts", "words"),
    [
        (Requirements(), {}, (), "nobody to meet"),
        (Requirements(processes=8, device="gpu"), {}, (), "this machine has 0"),
        (Requirements(processes=2, machines=2, device="cpu"), {}, (), "2 machines are not here"),
        (
            Requirements(processes=4, machines=4),
            {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"},
            (),
            "not here",
        ),
        (Requirements(processes=4, machines=4), {}, (Host("a", 1), Host("b", 1)), "not here"),
    ],
)
def test_what_cannot_be_started_here_is_said(needs, environ, hosts, words, tmp_path: Path) -> None:
    places = placement_of(needs, tmp_path, hosts=hosts, environ=environ, dev=tmp_path)
    assert places.order is None
    (found,) = places.findings
    assert words in found.what
    assert found.state == "ok" or found.remedy


def test_in_an_allocation_srun_starts_one_program_a_node(tmp_path: Path) -> None:
    environ = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "here"}
    needs = Requirements(processes=4, machines=2, device="cpu")
    places = placement_of(needs, tmp_path, hosts=(), environ=environ)
    assert places.order is not None
    assert (places.order.world, places.order.local, places.order.address) == (4, 2, "here")
    (command,) = places.commands
    assert command[:3] == ["srun", "--nodes=2", "--ntasks=2"]
    assert '"node": null' in command[-1]
    assert places.token is not None
    assert places.token.exists()
