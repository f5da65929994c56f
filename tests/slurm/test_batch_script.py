"""The batch script without a cluster: it is bash, and what a person forgets is named."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "slurm" / "sft.sbatch"
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "1", "SLURM_SUBMIT_DIR": str(ROOT)}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments], env=clean | environ, capture_output=True, text=True, timeout=30
    )


def test_it_is_bash() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@pytest.mark.parametrize(
    ("arguments", "environ", "what"),
    [
        ((), JOB, "no recipe given"),
        (("recipes/gpt_sft.yaml",), {}, "not inside a SLURM job"),
        (("recipes/no such recipe.yaml",), JOB, "no recipe at recipes/no such recipe.yaml"),
        (("Makefile",), JOB | {"VENV": "/nowhere"}, "no environment at /nowhere"),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], environ: dict[str, str], what: str) -> None:
    done = run(*arguments, **environ)
    assert done.returncode == 2
    assert what in done.stderr
    assert "hint: " in done.stderr


def test_options_stand_before_the_first_command() -> None:
    """SLURM reads no ``#SBATCH`` line after the first command."""
    lines = SCRIPT.read_text().splitlines()
    options = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert options
    assert max(options) < first_command


def test_every_profile_it_may_choose_exists() -> None:
    chosen = set(re.findall(r"echo (\w+)", SCRIPT.read_text()))
    assert chosen == {"cpu", "cpu_2proc", "gpu", "node"}
    assert all((ROOT / "launcher" / f"{name}.yaml").exists() for name in chosen)
