"""``tunesmith run RECIPE --on PROFILE`` as a person types it: the command, the run, and the status."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-c", "from tunesmith.cli.main import run; run()", "run"]
RECIPE = "recipes/smoke/causal-lm.yaml"
SMALL = ["data.train.arguments.count=200", "data.eval.holdout=16"]
FOUR = ["stop=[{budget: {steps: 4}}]", "eval.every=4"]


def start(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def told(launcher, *arguments: str):
    """What the command says that launches nothing, from a process that is forked from a warm one."""
    return launcher.command("run", RECIPE, *arguments, status=2, cwd=ROOT, CUDA_VISIBLE_DEVICES="")


def command_of(out: str) -> list[str]:
    line = next(line for line in out.splitlines() if line.startswith("command "))
    return shlex.split(line)[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "processes", "engine"),
    [
        pytest.param("auto", 1, "single", marks=pytest.mark.long),
        pytest.param("cpu_zero2", 2, "zero", marks=pytest.mark.long),
        ("cpu_zero3", 2, "zero"),
        pytest.param("cpu_zero3_offload", 2, "zero", marks=pytest.mark.long),
        pytest.param("cpu_fsdp2", 2, "fsdp2", marks=pytest.mark.long),
    ],
)
def test_it_prints_the_command_and_runs_it(profile, processes, engine, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    status, out, err = run(RECIPE, *SMALL, *FOUR, f"run.dir={folder}", "--on", profile)
    assert status == 0, err
    words = command_of(out)
    assert words[:4] == [sys.executable, "-P", "-m", "accelerate.commands.launch"]
    assert words[-len(SMALL) - 4 :] == [RECIPE, *SMALL, *FOUR, f"run.dir={folder}"]
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    about = json.loads((folder / "environment.json").read_text())
    assert (about["world_size"], about["launcher"]) == (processes, "accelerate")
    assert out.count("evaluation at step 4:") == 1
    assert (folder / "model" / "config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "number"), [("cpu", signal.SIGTERM), ("cpu_2proc", signal.SIGINT)])
@pytest.mark.matrix(sample=1)
def test_a_signal_is_passed_on_and_the_run_goes_on_later(profile, number, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = [*SMALL, "stop=[{budget: {epochs: 100}}]", "eval.every=100000", f"run.dir={folder}"]
    process = start(RECIPE, *settings, "--on", profile)
    journal, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while not (journal.exists() and '"train"' in journal.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 75, err
    assert "Traceback" not in err
    assert out.count("stopped by a signal") == 1
    assert json.loads((folder / "result.json").read_text())["status"] == "preempted"


@pytest.mark.slow
def test_a_mistake_that_only_the_processes_see(launcher, tmp_path: Path) -> None:
    """An earlier run is finished in the same folder: its result is not taken for this one's."""
    folder = tmp_path / "run"
    launcher.run("causal-lm", *SMALL, *FOUR, f"run.dir={folder}")
    status, _, err = run(RECIPE, *SMALL, "data.eval.holdout=5000", f"run.dir={folder}", "--on", "cpu_2proc")
    assert status == 2
    assert err.count("hint: ") == 1
    assert "Traceback" not in err
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"


@pytest.mark.slow
def test_a_process_that_is_killed_is_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(RECIPE, *SMALL, "stop=[{budget: {epochs: 1000}}]", f"run.dir={folder}", "--on", "cpu")
    lock, deadline = folder / "owner.lock", time.monotonic() + 120
    while not (lock.exists() and lock.read_text().endswith("\n") and (folder / "metrics.jsonl").exists()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "process 0 of 1 ended without a word" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--on", "gpu"], ["`gpu` wants 1 GPU, and this machine has none", "`cpu_2proc`"]),
        (["--on", "node_zero3"], ["`node_zero3` wants 8 GPUs", "none", "`cpu_zero3`"]),
        (["--on", "node", "--processes", "2"], ["`node` wants 2 GPUs"]),
        (["--on", "nodes_zero3"], ["8 GPUs on each machine"]),
        (["--on", "cpu_zero9"], ["no profile `cpu_zero9`", "did you mean `cpu_zero"]),
        (["--on", "cpu_2proc", "batch.size=15"], ["`batch.size: 15`", "2 processes", "14 or 16"]),
        (["--on", "cpu_2proc", "--processes", "3"], ["cannot be divided among 3 processes"]),
        (["--on", "cpu_2proc", "batch.micro=16"], ["`batch.micro: 16` does not divide the 8"]),
        (["--on", "cpu", "--processes", "2"], ["one process, not 2", "`cpu_2proc`"]),
        (["--on", "cpu", "batch.sise=8"], ["sise", "size"]),
        (["--processes", "2"], ["need a profile", "--on PROFILE"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_what_cannot_run_is_told_before_it_is_launched(launcher, arguments, words, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = told(launcher, f"run.dir={folder}", *arguments)
    assert done.out == ""
    for word in words:
        assert word in done.err
    assert not folder.exists()


def test_a_port_that_is_taken(launcher, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        machine = ["--machine", f"0/2@127.0.0.1:{port}"]
        done = told(launcher, f"run.dir={tmp_path}/run", "--on", "cpu_zero2", *machine)
    assert done.out == ""
    assert f"port {port}, where the machines are to meet, is taken" in done.err
