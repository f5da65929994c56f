"""A process that hangs is named, with stacks, within the deadline; one that is only slow is left alone."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tunesmith.train.supervise.heartbeat import Pulse
from tunesmith.train.supervise.watchdog import FOLDER, Peer, Watch
from tunesmith.world.environment import World

DEADLINE = 6.0
BOUND = DEADLINE + 15.0
"""Seconds from the fault to the end of all processes, as docs/reliability.md says: deadline + 15 s."""


def stopped(read, launched) -> bool:
    """Whether a process of the run is stopped."""
    pids = [int((process.folder / "pid").read_text()) for process in launched.processes]
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids]
    return "T" in states


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("point", "phase", "step"),
    [
        ("forward at=6", "train", 6),
        ("generate at=2", "evaluate", 12),
        ("save-write at=1", "save|train", 4),
    ],
    ids=["step", "evaluation", "save"],
)
@pytest.mark.matrix(sample=2, each="rank")
def test_a_stopped_process_is_named(struck, read, took, tmp_path, rank, point, phase, step):
    orders = point.replace(" ", f" rank={rank} ", 1) + " do=SIGSTOP"
    launched, _ = struck(orders, f"run.deadline={DEADLINE:g}s", processes=2)
    read.until(lambda: stopped(read, launched), "the process to be stopped")
    hung = time.monotonic()
    statuses = [process.wait() for process in launched.processes]
    took(time.monotonic() - hung, BOUND)
    assert statuses[rank] == -signal.SIGKILL
    assert statuses[1 - rank] == 1
    result = read.json(tmp_path / "run" / "result.json")
    assert result["status"] == "failed"
    first = result["error"].split("\n")[0]
    place = rf"process {rank} \(pid \d+ on \S+, in `(\w+)`, step (\d+) when it last told\)"
    named = rf"{place}: not heard of for 6 s"
    found = re.search(named, first)
    assert found, result["error"]
    assert re.fullmatch(phase, found[1])
    assert int(found[2]) <= step + 1
    assert "T (stopped)" in result["error"]
    err = launched.processes[1 - rank].err
    assert first.split("hangs: ")[1] in err
    assert "Thread 0x" in err
    assert "loop.py" in err, "the stack of the thread that trains"
    assert (tmp_path / "run" / FOLDER / f"stacks-{1 - rank}.txt").stat().st_size > 200


@pytest.mark.slow
def test_it_goes_on_afterwards(struck, read, launcher, controls, same, settings, tmp_path):
    launched, _ = struck("forward rank=1 at=6 do=SIGSTOP", "run.deadline=3s", processes=2)
    for process in launched.processes:
        process.wait()
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}", processes=2)
    same(tmp_path / "run", controls(2))


@pytest.mark.slow
@pytest.mark.parametrize("point", ["forward at=6", "evaluate at=2"])
@pytest.mark.matrix(sample=1)
def test_a_hang_in_a_single_process_is_ended_too(struck, read, took, tmp_path, point):
    launched, hung = struck(f"{point} do=sleep:100", "run.deadline=3s")
    assert launched.wait() == 1
    took(time.monotonic() - hung, 3.0 + 15.0)
    error = read.json(tmp_path / "run" / "result.json")["error"]
    assert "process 0 (pid" in error
    assert "no progress" in error
    assert "fault.py" in launched.err, "the stack names what hangs"


@pytest.mark.slow
@pytest.mark.parametrize("point", ["forward", "generate"])
@pytest.mark.matrix(sample=1)
def test_a_process_that_is_slow_is_left_alone(launcher, read, controls, same, settings, tmp_path, point):
    """Ten times as slow as the other, and longer in an evaluation than the deadline."""
    orders = f"{point} rank=1 at=* do=sleep:0.6"
    slow = ["run.deadline=3s", "eval.batch_size=4", "data.eval.holdout=64"]
    launcher.run(
        "causal-lm",
        *settings,
        *slow,
        f"run.dir={tmp_path / 'run'}",
        processes=2,
        TUNESMITH_FAULT=orders,
    )
    same(tmp_path / "run", controls(2, *slow[1:]))


# --- the judgement, without processes ---------------------------------------------------------------


def watch_of(tmp_path, peers: dict[int, tuple[float, float]], deadline: float = 10.0) -> Watch:
    world = World(rank=0, world_size=len(peers))
    said = {"pid": 1, "host": "h", "phase": "train", "step": 3}
    known = {rank: Peer(dict(said), heard, moved) for rank, (heard, moved) in peers.items()}
    return Watch(Pulse(), world, tmp_path, deadline, lambda: None, known)


@pytest.mark.parametrize(
    ("peers", "named"),
    [
        ({0: (100, 100), 1: (100, 100)}, None),
        ({0: (100, 100), 1: (89, 89)}, "process 1 "),
        ({0: (100, 80), 1: (100, 95)}, None),  # it waits for one that goes on
        ({0: (100, 85), 1: (100, 80)}, "process 1 "),
        ({0: (100, 80)}, "process 0 "),
        ({0: (100, 91)}, None),
    ],
)
def test_who_is_named(tmp_path, peers, named) -> None:
    trouble = watch_of(tmp_path, peers).trouble(100.0)
    assert trouble is None if named is None else trouble.startswith(named)


def test_one_that_ended_is_not_waited_for(tmp_path) -> None:
    watch = watch_of(tmp_path, {0: (100, 100), 1: (50, 50)})
    watch.peers[1].said["ended"] = True
    assert watch.trouble(100.0) is None


def test_a_heartbeat_tells_of_life_and_of_progress(tmp_path) -> None:
    peer = Peer({}, 0.0, 0.0)
    peer.hears({"count": 1, "beats": 5}, 1.0)
    peer.hears({"count": 2, "beats": 5}, 2.0)
    peer.hears({"count": 2, "beats": 5}, 3.0)
    assert (peer.heard, peer.moved) == (2.0, 1.0)


def test_processes_hear_of_each_other_and_of_a_signal(tmp_path) -> None:
    (tmp_path / FOLDER).mkdir()
    watches = [
        Watch(Pulse(), World(rank=rank, world_size=2), tmp_path, 10.0, lambda: None) for rank in (0, 1)
    ]
    watches[1].pulse.flag.signal = "SIGTERM"
    for now in (1.0, 2.0):
        for watch in watches:
            watch.exchange(now)
    assert watches[0].pulse.flag.asked
    assert watches[0].peers[1].said["asked"]
    watches[1].exchange(3.0)
    assert not watches[1].peers[0].said["asked"], "hearsay is not passed on"
