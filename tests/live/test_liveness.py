"""Whether a run lives, told from its files: with real owners, killed for real."""

import json
import os
import signal
import socket
import time
from datetime import UTC, datetime

import pytest

from tunesmith.checkpoint.lock import own
from tunesmith.live.liveness import QUIET, liveness_of

RESULT = {"status": "preempted", "stop": {}}


def sign(run_dir, **owner) -> None:
    run_dir.mkdir(exist_ok=True)
    (run_dir / "metrics.jsonl").write_text("{}\n")
    written = {"host": socket.gethostname(), "pid": os.getpid(), "start": "2020-01-01T00:00:00+00:00"} | owner
    (run_dir / "owner.lock").write_text(json.dumps(written))


def test_nothing_there_yet(tmp_path) -> None:
    assert liveness_of(tmp_path / "none", None).phase == "waiting"


def test_a_real_owner_lives_until_it_is_killed(write, until, tmp_path) -> None:
    run_dir = tmp_path / "run"
    process = write(run_dir, steps=5)
    assert liveness_of(run_dir, None).phase == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    life = liveness_of(run_dir, None)
    assert life.phase == "lost"
    assert f"its process {process.pid} is gone" in life.told


def test_a_process_that_only_its_parent_still_remembers_is_dead(write, until, tmp_path) -> None:
    process = write(tmp_path / "run", steps=5)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: liveness_of(tmp_path / "run", None).phase == "lost", "the zombie to be seen as one")


def test_an_end_in_order(write, tmp_path) -> None:
    write(tmp_path / "run", steps=3, status="stopped").wait()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert liveness_of(tmp_path / "run", result).phase == "ended"


def test_an_interrupted_run_that_goes_on_is_running(tmp_path) -> None:
    with own(tmp_path):
        assert liveness_of(tmp_path, RESULT).phase == "running"
    life = liveness_of(tmp_path, RESULT)
    assert (life.phase, life.told) == ("ended", "interrupted; the same command goes on with it")


def test_a_number_that_now_belongs_to_another_process(tmp_path) -> None:
    """Process numbers are used again: this one began long after the lock was signed."""
    sign(tmp_path, pid=os.getpid(), start="2001-01-01T00:00:00+00:00")
    assert liveness_of(tmp_path, None).phase == "lost"


@pytest.mark.parametrize(("quiet", "phase"), [(5, "running"), (QUIET + 60, "silent")])
def test_an_owner_on_another_machine_is_judged_by_its_files(tmp_path, quiet: float, phase: str) -> None:
    sign(tmp_path, host="elsewhere")
    now = (tmp_path / "metrics.jsonl").stat().st_mtime + quiet
    life = liveness_of(tmp_path, None, now=now)
    assert life.phase == phase
    assert "elsewhere" in life.told


def test_a_lock_that_is_seen_from_here_proves_life_elsewhere(tmp_path) -> None:
    with own(tmp_path):
        sign(tmp_path, host="elsewhere")
        assert liveness_of(tmp_path, None, now=2e9 * 2).phase == "running"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"pid": "x"}', '{"pid": -1, "host": 3}', "\0" * 30])
def test_a_signature_that_makes_no_sense(tmp_path, text: str) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    (tmp_path / "owner.lock").write_text(text)
    assert liveness_of(tmp_path, None).phase in ("running", "silent")


@pytest.mark.parametrize("ahead", [60.0, 3600.0, 1e8])
def test_a_dead_run_whose_files_lie_in_the_future_is_not_running(tmp_path, ahead) -> None:
    """As after a clock that was set wrong: of times nothing follows, and nobody holds the lock."""
    later = time.time() + ahead
    moment = datetime.fromtimestamp(later, UTC).isoformat()
    for place, owner in (
        ("elsewhere", {"host": "elsewhere"}),
        ("here", {"pid": os.getpid(), "start": moment}),
    ):
        sign(tmp_path / place, **owner)
        for path in (tmp_path / place).iterdir():
            os.utime(path, (later, later))
        life = liveness_of(tmp_path / place, None)
        assert life.phase in ("silent", "lost"), life
        assert "in the future" in life.told or "is gone" in life.told
    (tmp_path / "elsewhere" / "owner.lock").write_text("")
    os.utime(tmp_path / "elsewhere" / "owner.lock", (later, later))
    assert liveness_of(tmp_path / "elsewhere", None).phase == "silent"


def test_a_living_run_whose_files_lie_in_the_future_is_running(tmp_path) -> None:
    with own(tmp_path):
        later = time.time() + 3600
        for path in tmp_path.iterdir():
            os.utime(path, (later, later))
        assert liveness_of(tmp_path, None).phase == "running"
