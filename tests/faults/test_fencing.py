"""A run that was stopped, and whose directory another took over, publishes nothing when it wakes."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

POINTS = {
    "before a step": "data at=6 do=SIGSTOP",
    "before a line of the journal": "log at=6 do=SIGSTOP",
    "while a checkpoint is written": "save-write at=1 do=SIGSTOP",
    "before a checkpoint is published": "save-publish at=2 do=SIGSTOP",
    "before the model": "export do=SIGSTOP",
}


def is_stopped(launched) -> bool:
    pid = int((launched.processes[0].folder / "pid").read_text())
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.matrix(sample=2)
def test_a_stale_owner_that_wakes_is_refused(
    struck, launcher, read, controls, same, settings, tmp_path, point
):
    first, _ = struck(POINTS[point])
    read.until(lambda: is_stopped(first), "the first run to be stopped")
    run_dir = tmp_path / "run"
    (run_dir / "owner.lock").unlink()  # as somebody does who takes the first run for dead
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}")
    same(run_dir, controls())
    before = read.tree(run_dir)
    first.signal(signal.SIGCONT)
    assert first.wait() == 2
    assert "has been taken over" in first.err
    assert "Traceback" not in first.err
    after = read.tree(run_dir)
    left = set(after.keys() - before.keys())
    assert all(".tmp-" in name for name in left), left
    assert {name: after.get(name) for name in before} == before, "nothing of the second's is touched"


def test_a_second_owner_is_refused_while_the_first_is_stopped(struck, launcher, read, settings, tmp_path):
    first, _ = struck("data at=6 do=SIGSTOP")
    read.until(lambda: is_stopped(first), "the first run to be stopped")
    before = read.tree(tmp_path / "run")
    refused = launcher.run("causal-lm", *settings, f"run.dir={tmp_path / 'run'}", status=2)
    assert "in use by process" in refused.err
    assert read.tree(tmp_path / "run") == before
    first.signal(signal.SIGCONT)
    assert first.wait() == 0
    shutil.rmtree(tmp_path / "run")
