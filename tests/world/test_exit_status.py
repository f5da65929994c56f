"""How a process ended reaches whoever launched it, whatever the launchers in between make of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.world.exit_status import VARIABLE, ExitRecord, leave_outcome, read_outcomes


@pytest.mark.parametrize(("status", "left"), [(0, 0), (1, 1), (2, 0), (75, 0), (130, 130)])
def test_an_orderly_end_is_no_error_for_the_launcher(status: int, left: int, tmp_path: Path) -> None:
    environ = {VARIABLE: str(tmp_path), "RANK": "3"}
    assert leave_outcome(environ, status, "why") == left
    assert read_outcomes(tmp_path) == [ExitRecord(3, status, "why")]


def test_nobody_asked(tmp_path: Path) -> None:
    assert leave_outcome({}, 2) == 2
    assert leave_outcome({VARIABLE: ""}, 75) == 75


def test_the_first_outcome_counts(tmp_path: Path) -> None:
    environ = {VARIABLE: str(tmp_path)}
    leave_outcome(environ, 2, "the mistake")
    assert leave_outcome(environ, 2) == 0
    assert read_outcomes(tmp_path) == [ExitRecord(0, 2, "the mistake")]


def test_a_launcher_that_is_gone(tmp_path: Path) -> None:
    assert leave_outcome({VARIABLE: str(tmp_path / "gone")}, 75) == 75


def test_outcomes_come_by_rank_and_unfinished_ones_do_not_count(tmp_path: Path) -> None:
    for rank in (10, 2, 0):
        leave_outcome({VARIABLE: str(tmp_path), "RANK": str(rank)}, 0)
    (tmp_path / "rank-5.tmp").write_text("{")
    assert [outcome.rank for outcome in read_outcomes(tmp_path)] == [0, 2, 10]


@pytest.mark.parametrize(
    ("recipe", "status", "seen"),
    [("task: nothing\n", 0, 2), (None, 0, 2)],
    ids=["a mistake in the recipe", "no recipe"],
)
def test_a_recipe_that_ends_leaves_its_outcome(recipe, status, seen, tmp_path: Path) -> None:
    path, folder = tmp_path / "r.yaml", tmp_path / "outcomes"
    folder.mkdir()
    if recipe is not None:
        path.write_text(recipe)
    code = f"import tunesmith; tunesmith.main({str(path)!r}, [])"
    environ = {"PATH": "/usr/bin", VARIABLE: str(folder), "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == status
    (outcome,) = read_outcomes(folder)
    assert (outcome.rank, outcome.status) == (1, seen)
    assert "r.yaml" in outcome.message
    assert done.stderr == ""  # the first process of a machine speaks
