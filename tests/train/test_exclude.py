"""Rows left out of a real run: every other row keeps its step and its place."""

import pytest

from tunesmith.report.row_steps import rows_of_step, steps_of_row

pytestmark = pytest.mark.slow

SETTINGS = [
    "stop=[{budget: {steps: 14}}]",
    "eval.every=7",
    "run.save_every=4 steps",
    "data.train.arguments.count=300",
    "batch.micro=4",
]
FIRST, EMPTY = 6, 9


def rows_by_step(run_dir):
    return {step: rows_of_step(run_dir, step) for step in range(1, 15)}


@pytest.fixture(scope="module")
def control(launcher, tmp_path_factory):
    """The run that learns from all rows."""
    run_dir = tmp_path_factory.mktemp("control") / "run"
    launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}")
    return run_dir


@pytest.fixture(scope="module")
def without(control, tmp_path_factory):
    """A file of ids: one row of a step, and every row of a later one."""
    rows = rows_by_step(control)
    ids = [rows[FIRST].learnt[5], *rows[EMPTY].learnt]
    seen_before = {row for step in range(1, FIRST) for row in rows[step].learnt}
    assert not seen_before & set(ids), "an epoch is longer than this"
    path = tmp_path_factory.mktemp("ids") / "ids.txt"
    path.write_text("\n".join(ids) + "\n")
    return path


def test_the_others_are_learnt_as_before(launcher, read, control, without, tmp_path):
    run_dir, ids = tmp_path / "run", set(without.read_text().split())
    more = [*SETTINGS, f"run.dir={run_dir}", f"data.exclude={without}"]
    launcher.run("causal-lm", *more, TUNESMITH_FAULT="log at=11 do=SIGKILL", status=-9)
    launcher.run("causal-lm", *more)

    ours, theirs = read.losses(run_dir), read.losses(control)
    assert [ours[step] for step in range(1, FIRST)] == [theirs[step] for step in range(1, FIRST)]
    assert ours[FIRST] != theirs[FIRST]
    whole, thinned = rows_by_step(control), rows_by_step(run_dir)
    for step, rows in thinned.items():
        assert rows.learnt == tuple(row for row in whole[step].learnt if row not in ids)
        assert rows.excluded == tuple(row for row in whole[step].learnt if row in ids)
    lines = {record["step"]: record for record in read.journal(run_dir, "train")}
    before = {record["step"]: record for record in read.journal(control, "train")}
    assert lines[FIRST]["supervised_tokens"] < before[FIRST]["supervised_tokens"]
    for key in ("tokens", "epoch", "learning_rate"):
        assert [lines[step][key] for step in lines] == [before[step][key] for step in before]

    empty = lines[EMPTY]
    assert (empty["supervised_tokens"], empty["loss"], empty["updated"]) == (0, None, False)
    assert not read.journal(run_dir, "trouble")
    assert steps_of_row(run_dir, thinned[EMPTY].excluded[0]).excluded == (EMPTY,)

    data, theirs = read.json(run_dir / "data.json"), read.json(control / "data.json")
    assert data["dropped"]["excluded"] == len(ids)
    assert data["train"] == theirs["train"] - len(ids)
    assert data["fingerprint"] != theirs["fingerprint"]
    assert not ids & {row["id"] for row in read.json(run_dir / "preview.json")}
    assert read.json(run_dir / "result.json")["status"] == "completed"


def test_processes_of_which_some_have_no_row_left(launcher, read, control, without, tmp_path):
    run_dir, ids = tmp_path / "run", set(without.read_text().split())
    rows = rows_by_step(control)
    listed = [*ids, *rows[7].learnt[:13]]
    more = [*SETTINGS, f"run.dir={run_dir}", f"data.exclude=[{', '.join(listed)}]"]
    launcher.run("causal-lm", *more, processes=2)
    found = rows_by_step(run_dir)
    for step in found:
        assert set(found[step].learnt) == set(rows[step].learnt) - set(listed)
    assert len(found[7].learnt) == 3


def test_another_choice_of_rows_is_a_change(launcher, read, control, without, tmp_path):
    import shutil

    run_dir = tmp_path / "run"
    shutil.copytree(control, run_dir)
    (run_dir / "result.json").unlink()
    before = read.tree(run_dir)
    refused = launcher.run("causal-lm", *SETTINGS, f"run.dir={run_dir}", f"data.exclude={without}", status=2)
    assert "data.exclude" in refused.err
    assert read.tree(run_dir) == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.exclude=rows.animals:9999"], "did you mean `rows.animals:299`?"),
        (["data.exclude=./nothing.txt"], "there is no file"),
        (["data.exclude=[]", "data.exclude=''"], "is empty"),
    ],
)
def test_a_mistake_ends_with_status_2(launcher, tmp_path, settings, words):
    refused = launcher.run("causal-lm", *SETTINGS, f"run.dir={tmp_path / 'run'}", *settings, status=2)
    assert words in refused.err
