"""A run that was killed, stopped or damaged goes on as if nothing had happened."""

import random
import shutil
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STEPS = 60
SETTINGS = [
    f"stop=[{{budget: {{steps: {STEPS}}}}}]",
    "eval.every=10",
    "data.train.arguments.count=300",
    "model.new.attention_dropout=0.1",
]
SLOW_EVALUATION = "eval.generate.max_new_tokens=60"


@pytest.fixture(scope="module")
def control(launcher, tmp_path_factory):
    """The run that nothing disturbed."""
    run_dir = tmp_path_factory.mktemp("control") / "run"
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    return run_dir


def steps_done(run_dir: Path) -> int:
    path = run_dir / "metrics.jsonl"
    return path.read_text().count('"train"') if path.exists() else 0


def interrupt(
    launched, run_dir: Path, step: int, number: signal.Signals, read, *, group: bool = False
) -> None:
    read.until(lambda: steps_done(run_dir) >= step or launched.ended(), f"step {step}")
    assert not launched.ended(), launched.err
    launched.signal(number, group=group)


def assert_equal_runs(run_dir: Path, control: Path, read, *, resumed: int = 1) -> None:
    assert read.losses(run_dir) == read.losses(control)
    assert [(r["step"], r["metrics"]) for r in read.journal(run_dir, "eval")] == [
        (r["step"], r["metrics"]) for r in read.journal(control, "eval")
    ]
    for key in ("samples", "tokens", "learning_rate", "grad_norm"):
        assert [r[key] for r in read.journal(run_dir, "train")] == [
            r[key] for r in read.journal(control, "train")
        ]
    assert read.weights(run_dir) == read.weights(control)
    ours, theirs = read.json(run_dir / "result.json"), read.json(control / "result.json")
    for key in ("status", "stop", "best", "final", "baseline"):
        assert ours[key] == theirs[key]
    assert len(ours["resumed_from"]) == resumed
    assert {each["level"] for each in ours["continuations"]} <= {"exact"}
    assert read.json(run_dir / "samples.json") == read.json(control / "samples.json")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.matrix(sample=1)
def test_killed_at_any_step(launcher, read, control, tmp_path, seed):
    step, run_dir = random.Random(seed).randrange(11, STEPS - 12), tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    interrupt(launched, run_dir, step, signal.SIGKILL, read)
    assert launched.wait() == -signal.SIGKILL
    again = launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    assert_equal_runs(run_dir, control, read)
    resumed = read.json(run_dir / "result.json")["resumed_from"][0]
    assert resumed % 10 == 0
    assert resumed >= step // 10 * 10 - 10
    assert f"continuing at step {resumed}" in again.out


def test_killed_before_the_first_checkpoint(launcher, read, control, tmp_path):
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    interrupt(launched, run_dir, 2, signal.SIGKILL, read)
    launched.wait()
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)  # should it have been too quick
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    assert_equal_runs(run_dir, control, read, resumed=0)


def test_killed_while_evaluating_and_again_while_going_on(launcher, read, tmp_path):
    settings = [*SETTINGS, SLOW_EVALUATION, "optimizer.learning_rate=1e-5"]  # answers stay long
    control, run_dir = tmp_path / "control", tmp_path / "run"
    launcher.run("causal-lm", *settings, f"run.dir={control}")
    for step in (20, 40):
        launched = launcher.start("causal-lm", *settings, f"run.dir={run_dir}")
        interrupt(launched, run_dir, step, signal.SIGKILL, read)
        launched.wait()
        kinds = [(record["kind"], record["step"]) for record in read.journal(run_dir)]
        assert kinds[-1] == ("train", step), "it was to be killed while evaluating"
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}")
    assert_equal_runs(run_dir, control, read, resumed=2)
    assert read.json(run_dir / "result.json")["resumed_from"] == [10, 30]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_leave_it_saves_and_says_so(launcher, read, control, tmp_path, number):
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    interrupt(launched, run_dir, 13, number, read)
    assert launched.wait() == 75, launched.err
    result, done = read.json(run_dir / "result.json"), steps_done(run_dir)
    assert result["status"] == "preempted"
    assert result["stop"]["step"] == done < STEPS
    assert result["stop"]["rule"] == "signal"
    assert result["model"] is None
    assert (run_dir / "checkpoints" / f"step-{done:08d}").is_dir()
    assert not (run_dir / "model").exists()
    assert f"stopped by a signal at step {done}; run the same command to go on" in launched.out
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    assert_equal_runs(run_dir, control, read)
    assert read.json(run_dir / "result.json")["resumed_from"] == [done]


def test_adapters_with_dropout_and_workers(launcher, read, lora_recipe, tmp_path):
    """Signals go to the whole process group, as a terminal and a batch system send them."""
    settings = ["stop=[{budget: {steps: 40}}]", "tune.lora.dropout=0.2"]
    control, run_dir = tmp_path / "control", tmp_path / "run"
    launcher.run(lora_recipe, *settings, f"run.dir={control}")
    launched = launcher.start(lora_recipe, *settings, "data.workers=1", f"run.dir={run_dir}")
    interrupt(launched, run_dir, 11, signal.SIGTERM, read, group=True)
    assert launched.wait() == 75, launched.err
    assert launched.err == ""
    launcher.run(lora_recipe, *settings, f"run.dir={run_dir}")
    assert_equal_runs(run_dir, control, read)


def test_two_processes_with_dropout(launcher, read, tmp_path):
    control, run_dir = tmp_path / "control", tmp_path / "run"
    launcher.run("causal-lm", *SETTINGS, f"run.dir={control}", processes=2)
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}", processes=2)
    interrupt(launched, run_dir, 25, signal.SIGKILL, read)
    launched.wait()
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}", processes=2)
    read.until(lambda: steps_done(run_dir) >= 33 or launched.ended(), "the second part")
    launched.processes[1].signal(signal.SIGTERM)  # one is asked, both leave
    assert launched.wait() == 75
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}", processes=2)
    assert_equal_runs(run_dir, control, read, resumed=2)


@pytest.fixture
def preempted(launcher, read, tmp_path):
    """A run with two checkpoints, left in the middle."""
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    interrupt(launched, run_dir, 22, signal.SIGTERM, read)
    assert launched.wait() == 75
    return run_dir


def damage(checkpoint: Path) -> None:
    path = checkpoint / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(bytes(data))


def checkpoints(run_dir: Path) -> list[Path]:
    return sorted((run_dir / "checkpoints").iterdir())


def test_a_damaged_checkpoint_is_passed_over_and_said_so(launcher, read, control, preempted):
    older, newest = checkpoints(preempted)
    damage(newest)
    again = launcher.run("causal-lm", *SETTINGS, f"run.dir={preempted}")
    assert f"passed over a damaged checkpoint: {newest.name}: weights.safetensors is damaged" in again.out
    assert f"continuing at step {int(older.name[5:])}" in again.out
    assert_equal_runs(preempted, control, read)


def test_if_all_are_damaged_it_stops_and_keeps_what_is_there(launcher, read, preempted):
    for checkpoint in checkpoints(preempted):
        damage(checkpoint)
    before = read.tree(preempted)
    refused = launcher.run("causal-lm", *SETTINGS, f"run.dir={preempted}", status=2)
    assert "every checkpoint of this run is damaged" in refused.err
    assert "--fresh" in refused.err
    assert "Traceback" not in refused.err
    changed = {name for name, value in read.tree(preempted).items() if before.get(name) != value}
    assert changed <= {"owner.lock", "result.json"}
    assert read.json(preempted / "result.json")["status"] == "failed"


def test_other_data_is_not_mixed_in(launcher, read, tmp_path):
    recipe, rows = tmp_path / "mine.yaml", tmp_path / "rows.py"
    shutil.copy(launcher.recipe("causal-lm"), recipe)
    shutil.copy(launcher.recipe("causal-lm").parent / "rows.py", tmp_path / "own_rows.py")
    settings = [*SETTINGS, "data.train.source=python:own_rows:animals", f"run.dir={tmp_path}/run"]
    launched = launcher.start(recipe, *settings)
    interrupt(launched, tmp_path / "run", 15, signal.SIGTERM, read)
    assert launched.wait() == 75
    rows = tmp_path / "own_rows.py"
    rows.write_text(rows.read_text().replace("moo", "muh"))
    before = read.tree(tmp_path / "run" / "checkpoints")
    refused = launcher.run(recipe, *settings, status=2)
    assert "the data has changed since this run was begun" in refused.err
    assert read.tree(tmp_path / "run" / "checkpoints") == before
    rows.write_text(rows.read_text().replace("muh", "moo"))
    launcher.run(recipe, *settings)


def test_fresh_runs_beside_it(launcher, read, control):
    before = read.tree(control)
    arguments = ["causal-lm", *SETTINGS, "stop=[{budget: {steps: 3}}]", f"run.dir={control}", "--fresh"]
    for number in (2, 3):
        launcher.run(*arguments)
        fresh = control.with_name(f"{control.name}-{number}")
        assert steps_done(fresh) == 3
        assert read.json(fresh / "result.json")["resumed_from"] == []
    assert read.tree(control) == before


def test_finished_but_for_the_model(launcher, read, control, tmp_path):
    """Killed between the last checkpoint and the result: only the end is made again."""
    run_dir = tmp_path / "run"
    shutil.copytree(control, run_dir)
    (run_dir / "result.json").unlink()
    shutil.rmtree(run_dir / "model")
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    assert_equal_runs(run_dir, control, read)
    assert read.json(run_dir / "result.json")["resumed_from"] == [STEPS]


def workers_of(mark: str) -> list[int]:
    """Loader workers that import torch, or have, and whose environment has a mark in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            wanted = {"environ": mark, "cmdline": "spawn_main", "maps": "libtorch"}
            if all(text.encode() in (folder / name).read_bytes() for name, text in wanted.items()):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_workers_do_not_outlive_a_run_that_is_killed_while_they_start(launcher, read, tmp_path):
    mark = f"MARK_{tmp_path.name}_{id(tmp_path)}"
    launched = launcher.start("causal-lm", "data.workers=1", f"run.dir={tmp_path}/run", MARK=mark)
    read.until(lambda: workers_of(mark) or launched.ended(), "a worker")
    launched.signal(signal.SIGKILL)
    launched.wait()
    read.until(lambda: not workers_of(mark), "the end of the workers")
