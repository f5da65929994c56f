"""Real faults: whatever dies, fails or fills up, the run goes on exactly, or says what is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

POINTS = {
    "encode": "encode at=20",
    "load": "load",
    "baseline": "baseline",
    "data": "data at=6",
    "forward": "forward at=6",
    "backward": "backward at=6",
    "update": "update at=6",
    "log": "log at=6",
    "evaluate": "evaluate at=3",
    "generate": "generate at=2",
    "save-write": "save-write at=2",
    "save-publish": "save-publish at=2",
    "export": "export",
    "exit": "exit",
}
FIRST_ALONE = {"save-publish", "export"}


@pytest.mark.parametrize("phase", POINTS)
@pytest.mark.matrix(sample=3)
def test_killed_in_any_phase(struck, launcher, read, controls, same, settings, tmp_path, phase):
    launched, _ = struck(f"{POINTS[phase]} do=SIGKILL", "data.cache=false")
    assert launched.wait() == -signal.SIGKILL
    launcher.run("causal-lm", *settings, "data.cache=false", f"run.dir={tmp_path / 'run'}")
    same(tmp_path / "run", controls())


@pytest.mark.parametrize("phase", ["load", "forward", "backward", "evaluate", "save-write", "save-publish"])
@pytest.mark.matrix(sample=2)
def test_one_of_two_killed_in_any_phase(
    struck, launcher, read, controls, same, took, settings, tmp_path, phase
):
    rank = 0 if phase in FIRST_ALONE else 1
    point, _, at = POINTS[phase].partition(" ")
    launched, struck_at = struck(
        f"{point} rank={rank} {at} do=SIGKILL", "data.cache=false", "run.deadline=20s", processes=2
    )
    statuses = [process.wait() for process in launched.processes]
    assert statuses[rank] == -signal.SIGKILL
    assert statuses[1 - rank] == 1
    took(time.monotonic() - struck_at, 35.0)
    launcher.run("causal-lm", *settings, "data.cache=false", f"run.dir={tmp_path / 'run'}", processes=2)
    same(tmp_path / "run", controls(2))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, where it may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    order = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.call(order, stderr=subprocess.DEVNULL):
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(filler: Path, room: int) -> None:
    """Fill a file system but for some bytes."""
    with filler.open("wb") as file, pytest.raises(OSError, match="No space left"):
        file.write(bytes(1 << 26))
    os.truncate(filler, filler.stat().st_size - room)


def test_a_disk_that_is_full_for_a_while(launcher, read, controls, same, settings, tmp_path, small_disk):
    """A save fails, is tried again, and training goes on."""
    run_dir, mark = small_disk / "run", tmp_path / "mark"
    orders = f"save-write at=1 do=sleep:2 mark={mark}; forward at=6 do=sleep:5"
    launched = launcher.start("causal-lm", *settings, f"run.dir={run_dir}", TUNESMITH_FAULT=orders)
    read.until(lambda: mark.exists() or launched.ended(), "the first save")
    fill(small_disk / "filler", 1 << 16)
    read.until(lambda: "no space is left" in launched.out or launched.ended(), "the failure")
    assert not launched.ended(), launched.err
    (small_disk / "filler").unlink()
    assert launched.wait() == 0, launched.err
    assert "it is tried again" in launched.out
    same(run_dir, controls())


def test_a_disk_that_stays_full(launcher, read, controls, same, settings, tmp_path, small_disk):
    """Where not even a line can be written, the run ends with a message; with room again it goes on."""
    run_dir, mark = small_disk / "run", tmp_path / "mark"
    orders = f"forward at=6 do=sleep:2 mark={mark}"
    launched = launcher.start("causal-lm", *settings, f"run.dir={run_dir}", TUNESMITH_FAULT=orders)
    read.until(lambda: mark.exists() or launched.ended(), "a step")
    fill(small_disk / "filler", 0)
    assert launched.wait() == 2
    assert "no space is left on the disk" in launched.err
    assert "Traceback" not in launched.err
    (small_disk / "filler").unlink()
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}")
    same(run_dir, controls())


def test_files_that_may_not_grow(launcher, read, controls, same, settings, tmp_path):
    """Another limit than a full disk: what cannot be saved ends the run with a message."""
    run_dir = tmp_path / "run"
    refused = launcher.run("causal-lm", *settings, f"run.dir={run_dir}", status=2, FILE_LIMIT="40000")
    assert "cannot write: the file would be larger than the system allows" in refused.err
    assert "Traceback" not in refused.err
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}")
    same(run_dir, controls())


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT"])
@pytest.mark.parametrize("point", ["save-write", "save-publish"])
@pytest.mark.matrix(sample=2, each="point")
def test_a_save_that_fails_once_is_tried_again(struck, read, controls, same, tmp_path, point, error):
    launched, _ = struck(f"{point} at=2 do={error}")
    assert launched.wait() == 0, launched.err
    assert "it is tried again" in launched.out  # or a newer one has taken its place by then
    same(tmp_path / "run", controls())


@pytest.mark.parametrize("how", ["cut short", "empty", "one bit", "gone"])
@pytest.mark.parametrize(
    "name", ["weights.safetensors", "optimizer.safetensors", "random-0.json", "state.json", "manifest.json"]
)
@pytest.mark.matrix(sample=5, each="name")
def test_a_damaged_file_is_named_and_passed_over(
    struck, launcher, read, controls, same, settings, tmp_path, name, how
):
    run_dir = tmp_path / "run"
    launched, _ = struck("forward at=10 do=SIGKILL", "run.saving=inline")  # so that there are two
    launched.wait()
    newest = max((run_dir / "checkpoints").glob("step-????????"))
    path = newest / name
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes({"cut short": data[:-20], "empty": b"", "one bit": bytes(data)}[how])
    again = launcher.run("causal-lm", *settings, f"run.dir={run_dir}")
    assert f"passed over a damaged checkpoint: {newest.name}: {name}" in again.out
    same(run_dir, controls())


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_loader_worker_that_is_killed_is_named(struck, launcher, read, controls, same, settings, tmp_path):
    launched, _ = struck("forward at=6 do=sleep:1", "data.workers=1")
    pid = int((launched.processes[0].folder / "pid").read_text())
    workers = children(pid)
    assert len(workers) == 1
    os.kill(workers[0], signal.SIGKILL)
    assert launched.wait() == 1
    error = read.json(tmp_path / "run" / "result.json")["error"]
    assert f"DataLoader worker (pid {workers[0]}) is killed by signal: Killed" in error
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}")
    same(tmp_path / "run", controls())


@pytest.mark.parametrize("point", ["evaluate at=3", "generate at=2"])
def test_an_evaluator_that_raises_never_ends_well(
    struck, launcher, read, controls, same, settings, tmp_path, point
):
    launched, _ = struck(f"{point} do=raise")
    assert launched.wait() == 1
    result = read.json(tmp_path / "run" / "result.json")
    assert result["status"] == "failed"
    assert result["error"].startswith("InjectedFault: a test ordered a fault")
    assert not (tmp_path / "run" / "model").exists()
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}")
    same(tmp_path / "run", controls())


def test_an_evaluator_that_raises_in_one_of_two(struck, read, took, tmp_path):
    launched, begun = struck("evaluate rank=1 at=3 do=raise", "run.deadline=20s", processes=2)
    statuses = [process.wait() for process in launched.processes]
    took(time.monotonic() - begun, 35.0)
    assert statuses == [1, 1]
    assert read.json(tmp_path / "run" / "result.json")["status"] == "failed"


@pytest.mark.long
def test_killed_ten_times_in_a_row(launcher, read, controls, same, settings, tmp_path):
    """Nothing that a killed run leaves behind is in the way of the next."""
    for number in range(10):
        point = list(POINTS.values())[3 + number % 8]
        launched = launcher.start(
            "causal-lm", *settings, f"run.dir={tmp_path / 'run'}", TUNESMITH_FAULT=f"{point} do=SIGKILL"
        )
        assert launched.wait() in (0, -signal.SIGKILL), launched.err
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}")
    same(tmp_path / "run", controls())
