"""`tunesmith rows`: what it prints, and what it says where there is nothing to print."""

from __future__ import annotations

import json

import pytest

from tunesmith.data.mixture import make_mixture
from tunesmith.data.row_order import RowOrder, hash_of_samples, order_to_plain

IDS = ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3", "rows.jsonl:4"]


@pytest.fixture
def run(tmp_path, recipe):
    """A run of two steps that leaves out one row."""
    texts = [{"question": f"What is {line}?\x1b[2J", "answer": "a" * 90} for line in range(1, 5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(recipe.read_text().replace("./rows", f"{tmp_path}/rows"))
    order = RowOrder(mixture=make_mixture([0] * 4, [None]), batch_size=2, seed=0, excluded=frozenset({2}))
    hashes = [hash_of_samples([IDS[row] for row in order.learnt(step)]) for step in (0, 1)]
    lines = [{"kind": "train", "step": step + 1, "samples": hashes[step]} for step in (0, 1)]
    lines[1]["updated"] = False
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "rows.jsonl").write_text(json.dumps({"begins": 0, **order_to_plain(IDS, order)}) + "\n")
    return folder, order


def test_the_rows_of_a_step_with_place_and_text(tunesmith, run, tmp_path) -> None:
    folder, order = run
    status, out, _ = tunesmith("rows", folder, "--step", 1)
    learnt = [IDS[row] for row in order.learnt(0)]
    assert status == 0
    head, *lines = out.splitlines()
    assert head == f"step 1 of {folder}: {len(learnt)} rows"
    for row, line in zip(learnt, lines, strict=False):
        assert line.split()[:2] == [row, f"{tmp_path}/rows.jsonl:{row[-1]}"]
        assert f"What is {row[-1]}?" in line
        assert line.endswith("aa…")
        assert "\x1b" not in line, "a row's text commands no terminal"
    assert tunesmith("rows", folder, "--step", 1, "--ids")[1].split() == learnt


def test_without_the_sources_the_ids_are_told_all_the_same(tunesmith, run, tmp_path) -> None:
    (tmp_path / "rows.jsonl").unlink()
    status, out, _ = tunesmith("rows", run[0], "--step", 2)
    assert status == 0
    assert "none of them learnt" in out
    assert "rows.jsonl:" in out


def test_the_steps_of_each_row(tunesmith, run) -> None:
    folder, order = run
    for row, name in enumerate(IDS):
        status, out, _ = tunesmith("rows", folder, "--row", name)
        step = 1 if row in order.places(0) else 2
        words = "left out by `data.exclude`" if row == 2 else "learnt in" if step == 1 else "not learnt"
        assert status == 0
        assert words in out
        assert f"step {step} " in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "steps 1 to 2"),
        (("--step", 1, "--row", "x"), "either"),
        (("--step", 3), "steps 1 to 2"),
        (("--row", "rows.json:3"), "did you mean `rows.jsonl:3`"),
    ],
)
def test_a_mistake_ends_with_status_2(tunesmith, run, arguments, words) -> None:
    status, _, err = tunesmith("rows", run[0], *arguments)
    assert status == 2
    assert words in err
