"""The bit-by-bit comparison, on a small repository whose recipe writes the losses of a formula."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PACKAGE = """
import json, pathlib, sys

def main(file):
    folder = pathlib.Path(dict(word.split("=") for word in sys.argv[1:])["run.dir"])
    folder.mkdir(parents=True)
    with open(folder / "metrics.jsonl", "w") as log:
        for step in range(1, 4):
            loss = FORMULA
            line = {"kind": "train", "step": step, "samples": "s", "loss": loss, "loss_hex": loss.hex()}
            print(json.dumps(line), file=log)
        print(json.dumps({"kind": "eval", "step": 3}), file=log)
"""
RECIPE = 'if __name__ == "__main__": import tunesmith; tunesmith.main(__file__); r"""\ntask: x\n# """\n'


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write_package(repository: Path, formula: str) -> None:
    package = repository / "src" / "tunesmith" / "__init__.py"
    package.parent.mkdir(parents=True, exist_ok=True)
    package.write_text(PACKAGE.replace("FORMULA", formula))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_package(tmp_path, "0.1 * step")
    (tmp_path / "recipes" / "smoke").mkdir(parents=True)
    (tmp_path / "recipes" / "smoke" / "small.yaml").write_text(RECIPE)
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "same_bits.py", tmp_path / "benchmarks")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "start")
    return tmp_path


def same_bits(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/same_bits.py", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=60)


def worktrees(repository: Path) -> int:
    done = subprocess.run(
        ["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True
    )
    return len(done.stdout.splitlines())


@pytest.mark.parametrize(
    ("formula", "status", "word"),
    [
        ("step * 0.1", 0, "3 steps, the same bits"),
        ("step / 10", 1, "loss at step 3: 0x1.3333333333334p-2 became 0x1.3333333333333p-2"),
        ("0.1 * step if step < 3 else 1 / 0", 2, "ZeroDivisionError"),
    ],
)
def test_the_last_bit_shows(repository: Path, formula: str, status: int, word: str) -> None:
    write_package(repository, formula)
    done = same_bits(repository)
    assert done.returncode == status, done.stdout + done.stderr
    assert word in done.stdout + done.stderr
    assert worktrees(repository) == 1


def test_an_unknown_commit_is_named(repository: Path) -> None:
    done = same_bits(repository, "--base", "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
