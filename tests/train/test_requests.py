"""`tunesmith save` and `tunesmith stop`: a run is asked from outside, and answers."""

import signal

import pytest

from tunesmith.checkpoint.manifest import checkpoints, verify
from tunesmith.checkpoint.requests import Requests, acknowledge, request

SETTINGS = ["stop=[{budget: {steps: 5000}}]", "eval.every=2000", "data.train.arguments.count=300"]


def test_a_look_costs_nothing_between_two_looks(tmp_path):
    now = [0.0]
    requests = Requests(tmp_path, every=1.0, clock=lambda: now[0])
    request(tmp_path, "save")
    assert requests.seen() == {"save"}
    assert requests.seen() == frozenset()
    now[0] = 1.5
    request(tmp_path, "stop")
    assert requests.seen() == {"save", "stop"}
    acknowledge(tmp_path, "save")
    acknowledge(tmp_path, "save")
    now[0] = 3.0
    assert requests.seen() == {"stop"}


@pytest.mark.parametrize("command", ["save", "stop"])
def test_where_no_run_is_going_on_it_says_so(tmp_path, finished, launcher, command):
    ended = finished.runs["regression"]
    for folder, why in (
        (tmp_path / "none", "there is no such folder"),
        (ended, "no run is going on there"),
    ):
        done = launcher.command(command, str(folder), status=2)
        assert why in done.err
        assert "Traceback" not in done.err
    assert not (ended / "requests").exists()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_saves_and_ends_well_when_asked(launcher, read, tmp_path, processes):
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}", processes=processes)
    steps = lambda: (run_dir / "metrics.jsonl").exists() and len(read.journal(run_dir, "train"))  # noqa: E731
    read.until(lambda: steps() and steps() > 3, "a few steps")
    saved = launcher.command("save", str(run_dir))
    newest = checkpoints(run_dir / "checkpoints")[0]
    assert saved.out.strip() == str(newest)
    assert verify(newest) == []
    assert not launched.ended()
    launcher.command("save", str(run_dir), "--wait", "0")
    launcher.command("stop", str(run_dir))
    assert launched.wait() == 0
    result = read.json(run_dir / "result.json")
    assert result["status"] == "stopped"
    assert result["stop"]["rule"] == "request"
    assert result["final"]["step"] == result["stop"]["step"] < 5000
    assert (run_dir / "model" / "model.safetensors").exists()
    assert (run_dir / "report.html").exists()
    assert list((run_dir / "requests").iterdir()) == []


@pytest.mark.slow
def test_what_was_asked_for_outlives_the_process(launcher, read, tmp_path):
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    read.until(lambda: (run_dir / "metrics.jsonl").exists() and read.journal(run_dir, "train"), "a step")
    launched.signal(signal.SIGKILL)
    launched.wait()
    request(run_dir, "stop")
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    assert read.json(run_dir / "result.json")["stop"]["rule"] == "request"
