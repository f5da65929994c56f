"""Every profile is read by Accelerate itself, and those for the processor really start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tunesmith.world.environment import read_world

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "launcher").glob("*.yaml"))
ACCELERATE = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]

SCRIPT = """
import json, os, pathlib, sys
rank = os.environ.get("RANK", "0")
pathlib.Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(dict(os.environ)))
"""


def names() -> set[str]:
    return {profile.stem for profile in PROFILES}


def test_the_promised_profiles_are_there() -> None:
    assert {"cpu", "cpu_2proc", "gpu", "node"} <= names()


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_accelerate_reads_it(profile: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    config = load_config_from_file(str(profile))  # refuses unknown keys
    written = yaml.safe_load(profile.read_text())
    assert config.num_processes == written["num_processes"] >= 1
    arguments = launch_command_parser().parse_args(["--config_file", str(profile), "script.py"])
    arguments, defaults, _ = _validate_launch_command(arguments)
    assert defaults is not None
    assert arguments.num_processes == written["num_processes"]
    assert arguments.mixed_precision == written["mixed_precision"]
    assert arguments.multi_gpu == (written["distributed_type"] == "MULTI_GPU")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_it_says_when_to_choose_it(profile: Path) -> None:
    head = [line for line in profile.read_text().split("\n\n")[0].splitlines() if line.startswith("#")]
    text = "\n".join(head)
    assert f"--config_file launcher/{profile.name} recipes/" in text
    assert "Choose it" in text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "processes"), [("cpu", 1), ("cpu_2proc", 2)])
def test_it_starts(name: str, processes: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    out = tmp_path / "out"
    out.mkdir()
    environ = {key: value for key, value in os.environ.items() if key not in {"OMP_NUM_THREADS", "RANK"}}
    environ |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    command = [*ACCELERATE, "--config_file", str(ROOT / f"launcher/{name}.yaml"), str(script), str(out)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = {int(path.stem): json.loads(path.read_text()) for path in out.glob("*.json")}
    assert sorted(said) == list(range(processes))
    for rank, environment in said.items():
        if processes > 1:
            world = read_world(environment)
            assert (world.rank, world.local_rank) == (rank, rank)
            assert (world.world_size, world.local_world_size) == (processes, processes)
            assert world.launcher == "accelerate"
            # What world/threads.py rests on: a value that nobody asked for is 1.
            assert environment["OMP_NUM_THREADS"] == "1"
        else:
            assert environment["ACCELERATE_USE_CPU"] == "True"
        assert environment["ACCELERATE_MIXED_PRECISION"] == "no"
