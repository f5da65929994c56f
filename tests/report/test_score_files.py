"""The file of examples' scores: what is written comes back, and what is damaged is named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.report.run_files import read_run
from tunesmith.report.score_files import MOST_INPUT, read_scores, write_scores
from tunesmith.tasks.task import Scored

texts = st.text(max_size=30)
values = st.one_of(st.none(), texts, st.integers(-9, 9), st.floats(-5, 5))
scored = st.builds(
    Scored,
    id=texts,
    loss=st.floats(0, 100),
    count=st.integers(0, 50),
    correct=st.integers(0, 50),
    prediction=values,
    reference=values,
    input=texts,
)


@given(rows=st.lists(scored, max_size=8, unique_by=lambda one: one.id))
def test_what_is_written_comes_back(rows, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.jsonl"
    write_scores(path, rows)
    assert read_scores(path) == tuple(rows)
    assert path.read_bytes().count(b"\n") == len(rows), "one line an example, whatever its text"


def test_long_inputs_are_cut_and_losses_that_are_no_numbers_survive(tmp_path) -> None:
    path = tmp_path / "scores.jsonl"
    write_scores(path, [Scored("a", math.nan, 1, 0, "x" * 9999, "y", "z" * 9999)])
    [one] = read_scores(path)
    assert math.isnan(one.loss)
    assert (len(one.prediction), len(one.input)) == (9999, MOST_INPUT)


def test_a_secret_is_blotted_out_and_takes_nothing_with_it(tmp_path) -> None:
    path = tmp_path / "scores.jsonl"
    key = "-----BEGIN PRIVATE KEY-----abc"
    write_scores(path, [Scored(f"{n}", 0.5, 1, 0, key, "y", "z") for n in range(3)])
    assert [one.prediction for one in read_scores(path)] == ["********"] * 3


GOOD = '{"id": "a", "loss": 1, "count": 1, "correct": 0, "prediction": null, "reference": null}'


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("{half", ":1", "not the score"),
        (f"{GOOD}\n[1]\n", ":2", "not the score"),
        (GOOD.replace('"loss": 1', '"loss": "much"'), ":1", "not the score"),
        (f"{GOOD}\n{GOOD}\n", ":2", "`a` is there twice"),
    ],
)
def test_damage_is_named(tmp_path, text: str, where: str, what: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_scores(path)
    assert caught.value.where.endswith(where)
    assert what in caught.value.what


def test_a_report_goes_on_without_damaged_scores(run_dir) -> None:
    (run_dir / "scores.jsonl").write_text("{half")
    run = read_run(run_dir)
    assert run.scores is None
    assert run.problems == ("scores.jsonl:1: this line is not the score of one example",)
