"""The Dockerfile, as far as it can be judged without a daemon: what it copies, runs as, and pins."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each, continued lines joined, comments left out."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [
        (line.split()[0].upper(), line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()
    ]


def named(name: str) -> list[str]:
    return [arguments for each, arguments in instructions() if each == name]


def copied() -> list[str]:
    """Sources of COPY from the context, not from another stage."""
    found = []
    for arguments in named("COPY"):
        words = [word for word in arguments.split() if not word.startswith("--chown")]
        if not any(word.startswith("--from") for word in words):
            found += words[:-1]
    return found


def let_through() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines  # everything is left out but for what is named
    return [line[1:] for line in lines if line.startswith("!")]


def test_every_instruction_is_one() -> None:
    known = {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert instructions()[0][0] == "ARG"


def test_every_copied_path_exists_and_passes_the_ignore_file() -> None:
    assert copied()
    for path in copied():
        assert (ROOT / path).exists(), path
        assert path in let_through(), path
    assert set(let_through()) == set(copied())


def test_it_runs_without_rights_and_without_a_shell() -> None:
    assert named("USER")[-1] == "1000:1000"
    last = max(index for index, (name, _) in enumerate(instructions()) if name == "FROM")
    names = [name for name, _ in instructions()[last:]]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert json.loads(named("ENTRYPOINT")[-1]) == ["tunesmith"]
    assert "--uid 1000" in TEXT


def test_what_is_installed_is_pinned() -> None:
    for line in (line for run in named("RUN") for line in run.split("&&") if "pip install" in line):
        assert "-c constraints.txt" in line, line
    assert not re.search(r":latest\b", TEXT)
    images = {word for arguments in named("FROM") for word in arguments.split() if "/" in word or ":" in word}
    assert images <= {"${PYTHON_IMAGE}"}
    assert re.search(r"PYTHON_IMAGE=python:3\.\d+-slim-\w+$", named("ARG")[0])


def test_no_secret_is_built_in() -> None:
    assert not re.search(r"TOKEN|SECRET|PASSWORD|API_?KEY|PRIVATE", TEXT, re.IGNORECASE)
    assert not named("ADD")  # it would fetch from addresses


@pytest.mark.parametrize(
    "path", [".env", "runs/x/model.safetensors", ".git/config", ".venv/bin/python", "id.pem"]
)
def test_what_is_private_stays_outside(path: str) -> None:
    assert not any(
        fnmatch.fnmatch(path, pattern) or path.startswith(f"{pattern}/") for pattern in let_through()
    )


@pytest.mark.slow
def test_what_it_copies_is_enough_to_build_the_package(tmp_path: Path) -> None:
    for path in copied():
        source = ROOT / path
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tmp_path / "context" / path, ignore=ignore, dirs_exist_ok=True)
        else:
            (tmp_path / "context").mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / "context" / path)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, "--wheel-dir", str(tmp_path), str(tmp_path / "context")],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "tunesmith/launcher/cpu.yaml" in names
    assert "tunesmith/recipes/smoke/causal-lm.yaml" in names
    assert "tunesmith/cli/main.py" in names


def test_the_command_of_its_head_is_a_recipe_and_a_profile() -> None:
    commands = re.findall(r"tunesmith run (\S+) --on (\S+)", TEXT)
    assert len(commands) == 2
    for recipe, profile in commands:
        assert (ROOT / recipe).is_file()
        assert (ROOT / "launcher" / f"{profile}.yaml").is_file()
