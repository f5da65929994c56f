"""A run directory is read whatever state it is in."""

import json
import os
import socket
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.report.page import render_page
from tunesmith.report.run_files import read_metrics, read_run


def line(kind: str, step: int, **more) -> str:
    return json.dumps({"kind": kind, "step": step, **more}) + "\n"


def test_a_finished_run(run_dir) -> None:
    run = read_run(run_dir)
    assert (len(run.train), len(run.evals)) == (120, 7)
    assert run.name == "runs/gpt_sft"
    assert run.result["status"] == "stopped"
    assert run.plan.startswith("examples")
    assert run.variants is None
    assert run.problems == ()


def test_absent_files_are_absent_values(tmp_path) -> None:
    (tmp_path / "recipe.yaml").write_text("task: causal-lm\n")
    run = read_run(tmp_path)
    assert (run.train, run.evals, run.problems) == ((), (), ())
    absent = (run.result, run.environment, run.data, run.samples, run.preview, run.confusion, run.variants)
    assert absent == (None,) * 7
    assert run.name == tmp_path.name


@pytest.mark.parametrize(
    "name", ["result.json", "data.json", "samples.json", "preview.json", "environment.json"]
)
@pytest.mark.parametrize("content", ["{half", "3", '"text"', "[3]", "\x00\xff", "[" * 100_000])
def test_a_broken_file_is_a_problem_with_a_name(run_dir, name: str, content: str) -> None:
    (run_dir / name).write_text(content, encoding="latin-1")
    [problem] = read_run(run_dir).problems
    assert problem.startswith(f"{name}: ")


def test_a_broken_recipe_is_shown_all_the_same(run_dir) -> None:
    (run_dir / "recipe.yaml").write_text("task: [causal-lm\n")
    run = read_run(run_dir)
    assert run.recipe == {}
    assert run.recipe_text == "task: [causal-lm\n"
    assert run.problems[0].startswith("recipe.yaml: ")


def test_words_stay_words(run_dir) -> None:
    (run_dir / "recipe.yaml").write_text("run: {dir: no}\n")
    assert read_run(run_dir).name == "no"


def test_folders_that_are_no_runs_are_refused(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UserError, match="not a run directory"):
            read_run(folder)


def steps(records) -> list[int]:
    return [record["step"] for record in records]


def test_a_line_being_written_is_passed_over() -> None:
    problems: list[str] = []
    train, _ = read_metrics(line("train", 1) + line("train", 2)[:20], problems)
    assert steps(train) == [1]
    assert problems == []


@pytest.mark.parametrize(
    "broken", ["{half}\n", "3\n", '{"kind": "train"}\n', '{"step": true}\n', '{"step": "4"}\n']
)
def test_a_broken_line_is_a_problem_with_a_number(broken: str) -> None:
    problems: list[str] = []
    train, _ = read_metrics(line("train", 1) + broken + line("train", 2), problems)
    assert steps(train) == [1, 2]
    assert ["line 2" in problem for problem in problems] == [True]


def test_after_a_restart_the_later_lines_count() -> None:
    text = "".join(line("train", step, loss=step) for step in range(1, 8))
    text += line("eval", 4) + line("eval", 6)
    text += "".join(line("train", step, loss=10 * step) for step in (5, 6))
    text += line("eval", 6, examples=3)
    train, evals = read_metrics(text, [])
    assert steps(train) == [1, 2, 3, 4, 5, 6]
    assert [record["loss"] for record in train] == [1, 2, 3, 4, 50, 60]
    assert steps(evals) == [4, 6]
    assert evals[-1]["examples"] == 3


def test_losses_that_are_no_numbers_are_read() -> None:
    train, _ = read_metrics('{"kind": "train", "step": 1, "loss": NaN}\n', [])
    assert train[0]["loss"] != train[0]["loss"]


def test_unreadable_files_are_told(run_dir: Path) -> None:
    (run_dir / "plan.txt").unlink()
    (run_dir / "plan.txt").mkdir()
    assert [problem.split(":")[0] for problem in read_run(run_dir).problems] == ["plan.txt"]


NAMES = [
    "recipe.yaml",
    "metrics.jsonl",
    "plan.txt",
    "result.json",
    "environment.json",
    "data.json",
    "samples.json",
    "preview.json",
    "confusion.json",
    "scores.jsonl",
    "baseline_scores.jsonl",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "pipe", "socket", "hole"])
def test_nothing_from_outside_gets_in_and_nothing_waits(run_dir, tmp_path, name: str, kind: str) -> None:
    outside = {"recipe.yaml": "task: OUTSIDE\n", "scores.jsonl": "{}\n"}.get(name, '[{"id": "OUTSIDE"}]\n')
    (tmp_path / "outside").write_text(outside)
    path = run_dir / name
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(tmp_path / "outside")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.chdir(run_dir)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name)
    else:
        with path.open("wb") as file:
            file.truncate(3 << 30)
    [problem] = [problem for problem in read_run(run_dir).problems if problem.startswith(f"{name}: ")]
    assert "larger than" in problem if kind == "hole" else "no plain file" in problem
    assert "OUTSIDE" not in render_page(run_dir)


def test_a_recipe_in_a_run_directory_extends_nothing(run_dir, tmp_path) -> None:
    (tmp_path / "base.yaml").write_text("task: OUTSIDE\nmodel: {source: OUTSIDE}\n")
    (run_dir / "recipe.yaml").write_text(f"extends: {tmp_path}/base.yaml\nrun: {{dir: runs/x}}\n")
    run = read_run(run_dir)
    assert run.recipe == {"run": {"dir": "runs/x"}}
    assert run.problems == ("recipe.yaml: `extends` is not followed here",)
