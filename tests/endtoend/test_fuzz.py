"""A short piece of the fuzz, from seeds that the long one does not begin with, and that it can fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "fuzz.py"

pytestmark = pytest.mark.slow


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), "--workers", "1", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=280
    )


def test_some_recipes_and_rows():
    done = run("--recipes", "40", "--schema", "30", "--rows", "100", "--files", "24", "--start", "700000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("104 cases: ")


ONCE_WRONG = [
    "rows:99",
    *(f"recipe:{seed}" for seed in (250, 1732, 2307, 6738, 20199, 21752, 21870, 21890, 22541)),
]


def test_what_went_wrong_once():
    done = run(*(word for name in ONCE_WRONG for word in ("--one", name)))
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN = """
import pathlib
def install(load):
    def broken(path, overrides=()):
        {body}
        return load(path, overrides)
    return broken
import tunesmith.recipe.load as loading
loading.load_recipe = install(loading.load_recipe)
loading.load_with_variants = install(loading.load_with_variants)
import tunesmith.cli.command as command
command.load_with_variants = loading.load_with_variants
"""


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("raise KeyError('a fault')", "KeyError: 'a fault'"),
        ("pathlib.Path('stray').write_text('x')", "written outside"),
    ],
)
def test_it_sees_a_fault_and_a_stray_file(tmp_path, body, word):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nif os.environ.get('BREAK'):\n    " + BROKEN.format(body=body).replace("\n", "\n    ")
    )
    done = run(
        "--recipes", "4", "--schema", "0", "--rows", "0", "--files", "0", PYTHONPATH=str(tmp_path), BREAK="1"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert word in done.stdout
