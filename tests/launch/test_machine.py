"""Several machines that are each given the command: as pods are."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.launch.command import Meeting
from tunesmith.launch.local.hosts import Machine, parse_machine

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "machine"),
    [
        ("0/2@10.0.0.1:29500", Machine(2, Meeting(machine_rank=0, address="10.0.0.1", port=29500))),
        (
            "3/4@job-node-0-0.job:29400",
            Machine(4, Meeting(machine_rank=3, address="job-node-0-0.job", port=29400)),
        ),
        ("1/2@[fd00::1]:1", Machine(2, Meeting(machine_rank=1, address="fd00::1", port=1))),
    ],
)
def test_a_machine_is_read(text: str, machine: Machine) -> None:
    assert parse_machine(text) == machine


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0/2",
        "0/2@a",
        "2/2@a:1",
        "0/2@a:0",
        "0/2@a:65536",
        "-1/2@a:1",
        "$(PET_NODE_RANK)/2@a:1",
        "0/2@:1",
    ],
)
def test_what_is_no_machine_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_machine(text)
    assert caught.value.hint


def start(rank: int, port: int, run_dir: Path) -> subprocess.Popen:
    words = [
        "run",
        "recipes/smoke/causal-lm.yaml",
        "--on",
        "cpu_2proc",
        "--machine",
        f"{rank}/2@127.0.0.1:{port}",
    ]
    # What Kubeflow's operators set in every pod.
    pet = {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "1", "PET_NODE_RANK": str(rank)}
    pet |= {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(port)}
    words += ["--processes", "2", f"run.dir={run_dir}"]
    return subprocess.Popen(
        [sys.executable, "-c", "from tunesmith.cli.main import run; run()", *words],
        env={**os.environ, **pet},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_two_pods_meet_and_are_asked_to_leave(launcher, tmp_path: Path) -> None:
    """What they saved, two processes go on with that are forked from a warm one."""
    run_dir = tmp_path / "run"
    pods = [start(rank, port, run_dir) for port in [free_port()] for rank in (0, 1)]
    journal, deadline = run_dir / "metrics.jsonl", time.monotonic() + 150
    while time.monotonic() < deadline and not (journal.exists() and '"step": 3' in journal.read_text()):
        time.sleep(0.2)
    for pod in pods:  # the kubelet asks every pod of a node that is drained
        pod.send_signal(signal.SIGTERM)
    said = [pod.communicate(timeout=120)[0] for pod in pods]
    assert [pod.returncode for pod in pods] == [75, 75], said
    assert list((run_dir / "checkpoints").iterdir())
    result = json.loads((run_dir / "result.json").read_text())
    assert result["world"] == {"processes": 2, "machines": 2}
    launcher.run("causal-lm", f"run.dir={run_dir}", processes=2)
    assert json.loads((run_dir / "result.json").read_text())["resumed_from"]
