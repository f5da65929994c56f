"""The doctor within an allocation: srun starts its processes on the nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]

PROFILE = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 2
num_processes: 2
gpu_ids: "-1"
mixed_precision: "no"
"""


def doctor(cluster, profile: Path, *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "tunesmith", "doctor", "--on", str(profile)],
        env={**cluster.environ, "CUDA_VISIBLE_DEVICES": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(PROFILE)
    return path


def test_two_nodes_meet(cluster, profile: Path) -> None:
    cluster.wait_until_idle()
    done = doctor(cluster, profile, "salloc", "--nodes=2", "--ntasks-per-node=1")
    text = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 processes met and reduced 32 MB" in text
    assert "every machine that came sees the run directory" in text


def test_outside_an_allocation_it_says_how_to_get_into_one(cluster, profile: Path) -> None:
    done = doctor(cluster, profile)
    text = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 machines are not here" in text
    assert "salloc --nodes=2" in text
    assert os.environ.get("SLURM_JOB_ID") is None
