"""Asked to leave in any phase, a run leaves within a bounded time, and goes on exactly."""

from __future__ import annotations

import signal
import time

import pytest

pytestmark = pytest.mark.slow

BOUND = 20.0
"""Seconds from the signal to the end of the process: stated in docs/reliability.md."""
PHASES = {
    "encode": "encode at=20 do=sleep:2",
    "load": "load do=sleep:60",
    "baseline": "baseline do=sleep:2",
    "baseline, half-way": "generate at=1 do=sleep:2",
    "data": "data at=6 do=sleep:2",
    "forward": "forward at=6 do=sleep:2",
    "backward": "backward at=6 do=sleep:2",
    "update": "update at=6 do=sleep:2",
    "log": "log at=6 do=sleep:2",
    "evaluation": "evaluate at=3 do=sleep:2",
    "generation": "generate at=3 do=sleep:2",
    "last evaluation": "evaluate at=4 do=sleep:2",
    "save": "save-write at=1 do=sleep:2",
    "publish": "save-publish at=2 do=sleep:2",
}
NOT_CACHED = "data.cache=false"


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.matrix(sample=3)
def test_asked_in_any_phase(struck, launcher, read, controls, same, took, settings, tmp_path, phase):
    launched, _ = struck(PHASES[phase], NOT_CACHED)
    asked = time.monotonic()
    launched.signal(signal.SIGTERM)
    assert launched.wait() == 75, launched.err
    took(time.monotonic() - asked, BOUND)
    run_dir = tmp_path / "run"
    result = read.json(run_dir / "result.json")
    assert (result["status"], result["stop"]["rule"]) == ("preempted", "signal")
    assert launched.err == ""
    assert "run the same command to go on" in launched.out
    launcher.run("causal-lm", *settings, NOT_CACHED, f"run.dir={run_dir}")
    same(run_dir, controls())
    assert not (run_dir / "heartbeats").exists()


@pytest.mark.parametrize("phase", ["encode", "load", "baseline, half-way", "forward", "generation", "save"])
@pytest.mark.matrix(sample=2)
def test_one_of_two_processes_is_asked_and_both_leave(
    struck, launcher, read, controls, same, took, settings, tmp_path, phase
):
    point = PHASES[phase].replace("generate at=3", "generate at=2")  # each has half of the batches
    launched, _ = struck(point.replace(" ", " rank=1 ", 1), NOT_CACHED, processes=2)
    asked = time.monotonic()
    launched.processes[1].signal(signal.SIGTERM)
    assert launched.wait() == 75, launched.err
    took(time.monotonic() - asked, BOUND)
    run_dir = tmp_path / "run"
    assert read.json(run_dir / "result.json")["status"] == "preempted"
    launcher.run("causal-lm", *settings, NOT_CACHED, f"run.dir={run_dir}", processes=2)
    same(run_dir, controls(2))


def test_asked_again_and_again_as_slurm_does(struck, launcher, read, controls, same, settings, tmp_path):
    launched, _ = struck("forward at=6 do=sleep:1")
    for _ in range(4):
        for number in (signal.SIGCONT, signal.SIGTERM):
            launched.signal(number)
        time.sleep(0.3)
    assert launched.wait() == 75, launched.err
    assert launched.err == ""
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}")
    same(tmp_path / "run", controls())


@pytest.mark.parametrize("point", ["data at=1", "forward at=6"], ids=["workers begin", "workers run"])
@pytest.mark.matrix(sample=1)
def test_a_signal_to_the_whole_group_leaves_the_workers_alone(
    struck, launcher, read, controls, same, settings, tmp_path, point
):
    launched, _ = struck(f"{point} do=sleep:1", "data.workers=2")
    for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGTERM):
        launched.signal(number, group=True)
        time.sleep(0.2)
    assert launched.wait() == 75, launched.err
    assert launched.err == ""
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}")
    same(tmp_path / "run", controls())


def test_a_second_interrupt_does_not_wait(struck, took):
    launched, _ = struck("forward at=6 do=sleep:60")
    launched.signal(signal.SIGINT)
    time.sleep(0.3)
    launched.signal(signal.SIGINT)
    started = time.monotonic()
    assert launched.wait() == 130
    took(time.monotonic() - started, 5.0)
