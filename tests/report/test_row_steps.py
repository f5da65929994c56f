"""Which rows a step saw, and in which steps a row was learnt, told by the files of a run."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tunesmith.data.mixture import make_mixture
from tunesmith.data.row_order import RowOrder, hash_of_samples, order_to_plain
from tunesmith.errors import UserError
from tunesmith.report.row_steps import known_steps, rows_of_step, steps_of_row

FIRST = [f"a.jsonl:{line}" for line in range(1, 8)]
SECOND = [f"b.jsonl:{line}" for line in range(1, 4)] + ["a.jsonl:2"]


def order(rows, *, weights=(None,), excluded=frozenset(), batch_size=3):
    sources = [min(index, len(weights) - 1) for index in range(len(rows))]
    mixture = make_mixture(sources, weights)
    return RowOrder(mixture=mixture, batch_size=batch_size, seed=4, excluded=excluded)


@pytest.fixture
def write(tmp_path):
    """A run of 12 steps; ``parts`` are rows and orders by the number of steps that were done before."""

    def write(parts, *, steps=12, skipped=()):
        lines, written = [], []
        for step in range(1, steps + 1):
            rows, of = next(parts[begins] for begins in sorted(parts, reverse=True) if begins < step)
            samples = hash_of_samples([rows[row] for row in of.learnt(step - 1)])
            record = {"kind": "train", "step": step, "loss": 1.0, "samples": samples}
            lines.append({**record, **({"updated": False} if step in skipped else {})})
        for begins, (rows, of) in parts.items():
            written.append({"begins": begins, **order_to_plain(rows, of)})
        for name, records in (("metrics.jsonl", lines), ("rows.jsonl", written)):
            (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        return tmp_path

    return write


def test_both_ways_agree_over_changed_rows_weights_and_empty_places(write) -> None:
    parts = {
        0: (FIRST, order(FIRST, excluded=frozenset({1}))),
        5: (SECOND, order(SECOND, weights=(0.3, 3.0), batch_size=5)),
    }
    run = write(parts, skipped=(4,))
    steps = {step: rows_of_step(run, step) for step in range(1, 13)}
    assert [steps[step].updated for step in (3, 4, 5)] == [True, False, True]
    assert len(steps[5].learnt) + len(steps[5].excluded) == 3
    assert len(steps[6].learnt) == 5, "the batch has changed"
    for row in dict.fromkeys((*FIRST, *SECOND)):
        found = steps_of_row(run, row)
        told = Counter({step: of.learnt.count(row) for step, of in steps.items() if of.updated})
        assert Counter(found.learnt) == +told, row
        assert Counter(found.passed_over) == +Counter({4: steps[4].learnt.count(row)})
        empty = Counter({step: of.excluded.count(row) for step, of in steps.items()})
        assert Counter(found.excluded) == +empty
        assert found.steps == 12
    assert steps_of_row(run, "a.jsonl:2").excluded
    assert steps_of_row(run, "a.jsonl:2").learnt, "after the change it is learnt from"


@pytest.mark.parametrize("step", [0, -1, 13, 10**30])
def test_a_step_that_is_not_there(write, step) -> None:
    with pytest.raises(UserError) as caught:
        rows_of_step(write({0: (FIRST, order(FIRST))}), step)
    assert "no step" in caught.value.what
    assert "the steps 1 to 12" in caught.value.hint


def test_a_row_that_is_not_there_is_told_the_nearest(write) -> None:
    with pytest.raises(UserError, match=r"no row `a.jsonl:99`") as caught:
        steps_of_row(write({0: (FIRST, order(FIRST))}), "a.jsonl:99")
    assert "did you mean `a.jsonl:7`?" in caught.value.hint


def test_a_run_begun_by_a_version_without_it(write) -> None:
    run = write({0: (FIRST, order(FIRST))})
    record = json.loads((run / "rows.jsonl").read_text())
    (run / "rows.jsonl").write_text(json.dumps({**record, "begins": 6}) + "\n")
    assert rows_of_step(run, 7).learnt
    with pytest.raises(UserError, match="nothing is known of the rows of step 6"):
        rows_of_step(run, 6)
    (run / "rows.jsonl").unlink()
    with pytest.raises(UserError, match="keeps no account of its rows"):
        rows_of_step(run, 7)


@pytest.mark.parametrize("content", ['{"begins": 0}\n', "nonsense\n", '{"begins": 0, "ids": 3}\n'])
def test_a_damaged_account(write, content) -> None:
    run = write({0: (FIRST, order(FIRST))})
    (run / "rows.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"damaged|not a JSON object"):
        rows_of_step(run, 1)


def test_an_order_that_is_not_the_runs_is_not_believed(write) -> None:
    run = write({0: (FIRST, order(FIRST))})
    record = json.loads((run / "rows.jsonl").read_text())
    (run / "rows.jsonl").write_text(json.dumps({**record, "seed": 5}) + "\n")
    for ask in (lambda: rows_of_step(run, 1), lambda: steps_of_row(run, FIRST[0])):
        with pytest.raises(UserError, match=r"its hash in metrics.jsonl is another"):
            ask()


def test_folders_that_hold_no_steps(write, tmp_path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        known_steps(tmp_path / "nowhere")
    run = write({0: (FIRST, order(FIRST))}, steps=0)
    with pytest.raises(UserError, match="no step yet"):
        known_steps(run)
    (run / "metrics.jsonl").unlink()
    (run / "variants.json").write_text("{}")
    with pytest.raises(UserError, match="several runs"):
        known_steps(run)


def test_a_run_that_is_writing_its_next_line(write) -> None:
    run = write({0: (FIRST, order(FIRST))})
    with (run / "metrics.jsonl").open("a") as journal:
        journal.write('{"kind": "train", "step": 13, "sam')
    assert known_steps(run) == "known are the steps 1 to 12"
