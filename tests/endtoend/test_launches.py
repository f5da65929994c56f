"""Every way to start a run, as a person types it.

``make test`` starts Accelerate with one process here, as a recipe and as a module, and torchrun with two;
Accelerate with two is what ``launch/local/test_run.py`` starts, mistakes of several processes among it.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SETTINGS = [
    "stop=[{budget: {steps: 4}}]",
    "eval.every=4",
    "data.train.arguments.count=200",
    "data.eval.holdout=16",
]

pytestmark = pytest.mark.slow


def launch(tmp_path: Path, *command: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess:
    """The command's result; it runs where the recipes are, and writes to ``tmp_path``."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TUNESMITH_CACHE": str(tmp_path / "cache")}
    env.pop("OMP_NUM_THREADS", None)
    arguments = [*command, *SETTINGS, f"run.dir={tmp_path}/run"]
    done = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**env, **environment},
        timeout=240,
        check=False,
    )
    assert done.returncode == status, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def assert_one_run(
    done: subprocess.CompletedProcess, run_dir: Path, *, launcher: str, processes: int = 1
) -> None:
    """One process spoke, once; the run says how it was started."""
    assert done.stdout.count("data       ") == 1
    assert done.stdout.count("evaluation at step 4:") == 1
    assert f"x {processes} processes" in done.stdout
    assert "Traceback" not in done.stderr
    result = json.loads((run_dir / "result.json").read_text())
    assert (result["status"], result["stop"]["step"]) == ("completed", 4)
    environment = json.loads((run_dir / "environment.json").read_text())
    assert (environment["launcher"], environment["world_size"]) == (launcher, processes)
    steps = [json.loads(line)["step"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert steps == [0, 1, 2, 3, 4, 4]


def test_accelerate_launch_with_a_worker_that_spawns(tmp_path):
    recipe = "recipes/smoke/sequence-classification.yaml"
    done = launch(tmp_path, "accelerate", "launch", recipe, "data.workers=1")
    assert_one_run(done, tmp_path / "run", launcher="accelerate")
    # Accelerate asks for one thread; the run takes its share of the cores all the same, and says so.
    cores = len(os.sched_getaffinity(0))
    words = next(line for line in done.stdout.splitlines() if line.startswith("numbers"))
    threads = json.loads((tmp_path / "run" / "environment.json").read_text())["threads"]
    assert f"{threads} threads a process" in words
    assert 1 <= threads <= cores
    assert threads > 1 or cores == 1


def test_python(tmp_path):
    words = ["-X", "importtime", "recipes/smoke/regression.yaml", "run.threads=1"]
    done = launch(tmp_path, "python", *words)
    assert_one_run(done, tmp_path / "run", launcher="python")
    assert "1 threads a process" in done.stdout
    # Of what is installed, nothing that takes seconds is imported for nothing.
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "torch" in imported
    assert not imported & {"deepspeed", "mlflow", "wandb", "datasets", "evaluate", "peft", "bitsandbytes"}


def test_tunesmith_run_and_the_same_again(launcher, tmp_path):
    done = launch(tmp_path, "tunesmith", "run", "recipes/smoke/regression.yaml")
    assert_one_run(done, tmp_path / "run", launcher="python")
    again = launcher.command(
        "run", "recipes/smoke/regression.yaml", *SETTINGS, f"run.dir={tmp_path}/run", cwd=ROOT
    )
    assert again.out.startswith("already finished: ")


@pytest.mark.long
def test_accelerate_launch_of_the_module(tmp_path):
    done = launch(tmp_path, "accelerate", "launch", "-m", "tunesmith", "recipes/smoke/regression.yaml")
    assert_one_run(done, tmp_path / "run", launcher="accelerate")


@pytest.mark.long
def test_accelerate_with_two_processes(tmp_path):
    start = ["accelerate", "launch", "--config_file", "launcher/cpu_2proc.yaml"]
    done = launch(tmp_path, *start, "recipes/smoke/causal-lm.yaml")
    assert_one_run(done, tmp_path / "run", launcher="accelerate", processes=2)


def test_torchrun_with_two_processes(tmp_path):
    start = ["torchrun", "--standalone", "--nproc-per-node", "2"]
    done = launch(tmp_path, *start, "recipes/smoke/image-classification.yaml")
    assert_one_run(done, tmp_path / "run", launcher="torchrun", processes=2)


def test_a_launcher_that_is_ended_takes_the_run_with_it(tmp_path):
    """``accelerate launch`` dies of SIGTERM without telling what it launched, which must not go on alone."""
    endless = ["stop=[{budget: {steps: 100000}}]", "eval.every=100000", f"run.dir={tmp_path}/run"]
    env = {**os.environ, "TUNESMITH_CACHE": str(tmp_path / "cache")}
    command = [str(BIN / "accelerate"), "launch", "-m", "tunesmith", "recipes/smoke/regression.yaml"]
    command += endless
    with (tmp_path / "out").open("w") as out:
        launcher = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=env)
    journal, result = tmp_path / "run" / "metrics.jsonl", tmp_path / "run" / "result.json"
    wait_for(lambda: journal.exists() and '"train"' in journal.read_text(), tmp_path / "out")
    launcher.terminate()
    assert launcher.wait() != 0
    wait_for(result.exists, tmp_path / "out")
    assert json.loads(result.read_text())["status"] == "preempted"
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert (environment["launcher"], environment["world_size"]) == ("accelerate", 1)


def wait_for(condition, out: Path) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline, out.read_text()
        time.sleep(0.05)


@pytest.mark.long
def test_a_mistake_under_a_launcher_is_told_once(tmp_path):
    """Launchers end with their own status and their own words; ours are among them, once."""
    start = ["accelerate", "launch", "--config_file", "launcher/cpu_2proc.yaml"]
    done = launch(tmp_path, *start, "recipes/smoke/causal-lm.yaml", "batch.size=15", status=1)
    assert done.stderr.count("`batch.size: 15` cannot be divided among 2 processes") == 1


def test_a_mistake_is_told_in_seconds(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = launch(tmp_path, "python", "recipes/smoke/regression.yaml", "batch.sise=8", status=2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10  # of computing; about 2
    assert "batch.sise" in done.stderr
    assert "size" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
