"""The account of rows in a real run: killed, gone on with other rows, in one process and in two."""

from __future__ import annotations

import json

import pytest

from tunesmith.data.mixture import make_mixture
from tunesmith.data.row_order import RowOrder, hash_of_samples, order_from_plain
from tunesmith.report.row_steps import rows_of_step, steps_of_row
from tunesmith.train.record.rows import record_order

SETTINGS = ["stop=[{budget: {steps: 14}}]", "eval.every=6", "eval.baseline=false", "run.save_every=6 steps"]
KILL = "log at=9 do=SIGKILL"


def count(rows: int) -> str:
    return f"data.train.arguments.count={rows}"


def going_on_with(run_dir, rows: int):
    """As much of a run's parts as the account needs."""
    order = RowOrder(mixture=make_mixture([0] * rows, [None]), batch_size=2, seed=0)
    return run_dir, [f"a:{row}" for row in range(rows)], order


def test_it_is_written_where_the_order_changes_and_cut_where_steps_are_given_up(tmp_path) -> None:
    def begins() -> list[tuple[int, int]]:
        lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        return [(line["begins"], len(order_from_plain(line).ids)) for line in lines]

    three, four = going_on_with(tmp_path, 3), going_on_with(tmp_path, 4)
    record_order(*three, 0)
    inode = (tmp_path / "rows.jsonl").stat().st_ino
    record_order(*three, 7)
    assert begins() == [(0, 3)]
    assert (tmp_path / "rows.jsonl").stat().st_ino == inode, "nothing new is not written"
    record_order(*four, 10)
    record_order(*four, 20)
    assert begins() == [(0, 3), (10, 4)]
    record_order(*three, 30)
    record_order(*three, 20)
    assert begins() == [(0, 3), (10, 4), (20, 3)]
    record_order(*four, 10)
    assert begins() == [(0, 3), (10, 4)]
    record_order(*three, 10)
    assert begins() == [(0, 3)], "it went back to before the change, with the rows of then"
    record_order(*four, 0)
    assert begins() == [(0, 4)]


@pytest.mark.slow
def test_it_tells_what_each_step_saw_after_a_kill_and_a_change(launcher, read, tmp_path) -> None:
    run_dir = tmp_path / "run"
    settings = [*SETTINGS, f"run.dir={run_dir}"]
    killed = launcher.start("causal-lm", *settings, count(200), processes=2, TUNESMITH_FAULT=KILL)
    killed.wait()
    assert [record["step"] for record in read.journal(run_dir, "train")][-1] == 8
    before = {step: rows_of_step(run_dir, step).learnt for step in range(1, 9)}
    launcher.run("causal-lm", *settings, count(200), TUNESMITH_FAULT="log at=3 do=SIGKILL", status=-9)
    assert {step: rows_of_step(run_dir, step).learnt for step in range(1, 9)} == before
    launcher.run("causal-lm", *settings, count(300), "--accept-changes", processes=2)

    seen = {}
    for record in read.journal(run_dir, "train"):
        seen[record["step"]] = rows_of_step(run_dir, record["step"]).learnt
        assert len(seen[record["step"]]) == 16
        assert record["samples"] == hash_of_samples(seen[record["step"]])
    assert list(seen) == list(range(1, 15))
    assert {step: seen[step] for step in range(1, 7)} == {step: before[step] for step in range(1, 7)}
    lines = [json.loads(line) for line in (run_dir / "rows.jsonl").read_text().splitlines()]
    assert [line["begins"] for line in lines] == [0, 6]
    for row in (seen[2][0], seen[12][0]):
        assert list(steps_of_row(run_dir, row).learnt) == [step for step, rows in seen.items() if row in rows]
