"""A launcher at work, with small programs in the place of Accelerate and of the recipe."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tunesmith.launch.local import supervise
from tunesmith.launch.local.processes import children_of, launched_for
from tunesmith.launch.local.supervise import Ended, exit_status, run_launcher
from tunesmith.world.exit_status import ExitRecord

# Starts a program once for each rank, each in a session of its own as torch's launcher does, and fails if
# one of them fails. It must not be told to stop.
LAUNCHER = """
import os, subprocess, sys
ranks = [
    subprocess.Popen([sys.executable, sys.argv[1]], env=os.environ | {"RANK": rank}, start_new_session=True)
    for rank in "01"
]
sys.exit(1 if any([rank.wait() for rank in ranks]) else 0)
"""
HEAD = """
import os, pathlib, signal, sys, time
from tunesmith.world.exit_status import leave_outcome
folder, rank = pathlib.Path(os.environ["TUNESMITH_OUTCOME"]), os.environ["RANK"]
def end(status, message=""):
    sys.exit(leave_outcome(os.environ, status, message))
"""
COUNTS_SIGNALS = """
came = []
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: came.append(number))
(folder / f"ready-{rank}").touch()
while not came:
    time.sleep(0.02)
time.sleep(0.5)
(folder.parent / f"came-{rank}").write_text(str([int(number) for number in came]))
end(75)
"""


@pytest.fixture
def launch(tmp_path: Path):
    """Run a program as two ranks; gives how it ended."""
    folder = tmp_path / "outcomes"
    folder.mkdir()

    def act(body: str, *, launcher: str = LAUNCHER) -> Ended:
        (tmp_path / "rank.py").write_text(HEAD + body)
        (tmp_path / "launcher.py").write_text(launcher)
        words = [sys.executable, str(tmp_path / "launcher.py"), str(tmp_path / "rank.py")]
        return run_launcher(words, os.environ, folder)

    return act


def signal_when_ready(folder: Path, number: int) -> threading.Thread:
    def act() -> None:
        deadline = time.monotonic() + 60
        while len(list(folder.glob("ready-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_signal_reaches_every_process_once(number: int, launch, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    thread = signal_when_ready(tmp_path / "outcomes", number)
    ended = launch(COUNTS_SIGNALS)
    thread.join()
    assert [(tmp_path / f"came-{rank}").read_text() for rank in (0, 1)] == [f"[{int(number)}]"] * 2
    assert ended == Ended(0, [ExitRecord(0, 75), ExitRecord(1, 75)], asked=True)
    assert exit_status(ended, 2) == 75
    assert signal.getsignal(number) == before


def test_a_launcher_that_has_started_nothing_is_ended_itself(launch, tmp_path: Path) -> None:
    ready = tmp_path / "outcomes"
    thread = signal_when_ready(ready, signal.SIGTERM)
    idle = f"import pathlib, time; [pathlib.Path({str(ready)!r}, f'ready-{{n}}').touch() for n in (0, 1)]"
    started = time.monotonic()
    ended = launch("", launcher=f"{idle}; time.sleep(60)")
    thread.join()
    assert time.monotonic() - started < 50
    assert ended.returncode == -signal.SIGTERM
    assert exit_status(ended, 2) == 75


def test_a_mistake_of_one_ends_the_others_in_bounded_time(launch, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervise, "PEER_SECONDS", 1.0)
    started = time.monotonic()
    ended = launch("if rank == '1': end(2, 'no room')\ntime.sleep(100)")
    assert time.monotonic() - started < 60
    assert exit_status(ended, 2) == 2
    assert ended.outcomes == [ExitRecord(1, 2, "no room")]
    assert launched_for(tmp_path / "outcomes") == []


def test_nothing_outlives_its_launcher(launch, tmp_path: Path) -> None:
    careless = LAUNCHER.replace("sys.exit(1 if", "sys.exit(0); (1 if")
    ended = launch("time.sleep(100)", launcher=careless)
    assert ended.returncode == 0
    assert launched_for(tmp_path / "outcomes") == []


def test_the_launcher_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    folder = tmp_path / "outcomes"
    folder.mkdir()
    idle = f"import pathlib, time; pathlib.Path({str(folder)!r}, 'ready').touch(); time.sleep(100)"
    code = f"""
import os, pathlib, sys
from tunesmith.launch.local.supervise import run_launcher
run_launcher([sys.executable, "-c", {idle!r}], os.environ, pathlib.Path({str(folder)!r}))
"""
    above = subprocess.Popen([sys.executable, "-c", code])
    wait_for((folder / "ready").exists)
    assert len(launched_for(folder)) == 1
    assert children_of(above.pid) == launched_for(folder)
    above.kill()
    above.wait()
    wait_for(lambda: launched_for(folder) == [])


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("returncode", "statuses", "asked", "status"),
    [
        (0, {0: 0, 1: 0}, False, 0),
        (0, {}, False, 0),  # a program that is no recipe
        (1, {}, False, 1),
        (-9, {}, False, 1),
        (1, {0: 2, 1: 1}, False, 2),  # the second failed since the first was gone
        (0, {0: 2, 1: 2}, False, 2),
        (1, {1: 2}, False, 2),
        (1, {0: 1}, False, 1),
        (0, {0: 75, 1: 75}, False, 75),  # the signal came from elsewhere
        (0, {0: 75, 1: 75}, True, 75),
        (1, {0: 75}, True, 75),
        (1, {0: 75}, False, 1),  # the other was killed, and this one ended for it
        (-15, {}, True, 75),  # before anything began
        (0, {0: 0, 1: 0}, True, 0),  # it had finished
        (1, {0: 130, 1: 75}, True, 130),
        (1, {0: 1, 1: 75}, True, 1),
    ],
)
def test_the_status_of_a_launch(returncode, statuses, asked, status) -> None:
    outcomes = [ExitRecord(rank, one) for rank, one in statuses.items()]
    assert exit_status(Ended(returncode, outcomes, asked), 2) == status


def test_a_run_directory_says_nothing_about_a_launch(launch, tmp_path: Path) -> None:
    """An earlier run's ``result.json`` is no word of this one's."""
    (tmp_path / "result.json").write_text(json.dumps({"status": "completed"}))
    (tmp_path / "outcomes" / "result.json").write_text(json.dumps({"status": "completed"}))
    ended = launch("os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.outcomes == []
    assert exit_status(ended, 2) == 1
