"""A short piece of the fuzz, from seeds that the long one does not begin with, and that it can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
WARM = """
import os, runpy, sys
sys.path.insert(0, {folder!r})
{breaking}
runpy.run_path({script!r}, run_name="__main__")
"""

pytestmark = pytest.mark.slow

SOME = {"recipe": 20, "schema": 15, "rows": 6, "files": 12}
ONCE_WRONG = [
    "rows:99",
    *(f"recipe:{seed}" for seed in (250, 1732, 2307, 6738, 20199, 21752, 21870, 21890, 22541)),
]


def test_some_of_every_kind_and_what_went_wrong_once():
    names = [f"{kind}:{seed}" for kind, count in SOME.items() for seed in range(700_000, 700_000 + count)]
    words = [word for name in [*names, *ONCE_WRONG] for word in ("--one", name)]
    command = [sys.executable, str(SCRIPT), "--workers", "1", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{len(names) + len(ONCE_WRONG)} cases: ")


BREAKING = """
import pathlib
def install(load):
    def broken(path, overrides=()):
        if overrides:
            raise KeyError("a fault")
        pathlib.Path("stray").write_text("x")
        return load(path, overrides)
    return broken
import tunesmith.recipe.load as loading
loading.load_recipe = install(loading.load_recipe)
loading.load_with_variants = install(loading.load_with_variants)
import tunesmith.cli.command as command
command.load_with_variants = loading.load_with_variants
"""


def test_it_sees_a_fault_and_a_stray_file(launcher, tmp_path):
    """The same script, in a process that is forked from a warm one."""
    path = tmp_path / "start.py"
    path.write_text(WARM.format(folder=str(SCRIPT.parent), script=str(SCRIPT), breaking=BREAKING))
    none = ["--schema", "0", "--rows", "0", "--files", "0"]
    done = launcher.run(path, "--workers", "1", "--recipes", "6", *none, status=1, cwd=tmp_path)
    assert "KeyError: 'a fault'" in done.out
    assert "written outside" in done.out
