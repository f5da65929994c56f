"""Evaluation rows, a test split and further sets stand apart from each other and from what is learnt."""

import pytest

from tunesmith.data.load import load_rows
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Data
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.tasks.spec import Field, RowSchema

TEXT = RowSchema((Field("text", "text"),))


@pytest.fixture
def parted(write, tmp_path):
    def load(evaluation: dict | None = None, rows=None, **sections):
        rows = rows or [{"text": f"t{n}", "talk": f"c{n // 4}", "kind": n % 2} for n in range(200)]
        data = Data.model_validate({"train": [{"source": write("d.jsonl", rows)}], **sections})
        return load_rows(data, TEXT, 0, folder=tmp_path, evaluation=Eval.model_validate(evaluation or {}))

    return load


def texts(rows) -> set[str]:
    return {row.fields["text"] for row in rows}


def test_a_test_split_leaves_the_evaluation_rows_alone(parted) -> None:
    without = parted(eval={"holdout": 0.1})
    loaded = parted(eval={"holdout": 0.1}, test={"holdout": 0.2})
    assert texts(loaded.eval) == texts(without.eval)
    assert (len(loaded.eval), len(loaded.test), len(loaded.train)) == (20, 40, 140)
    assert texts(loaded.test) <= texts(without.train)
    assert not texts(loaded.test) & (texts(loaded.train) | texts(loaded.eval))
    assert loaded.fingerprint != without.fingerprint
    assert (loaded.report.test, loaded.report.to_dict()["test"]) == (40, 40)
    assert "test" not in without.report.to_dict()


def test_the_test_split_comes_first_where_rows_stand_on_two_sides(parted, write) -> None:
    own = {"source": write("test.jsonl", [{"text": "t1"}, {"text": "t2"}, {"text": "new"}])}
    evaluated = {"source": write("eval.jsonl", [{"text": "t2"}, {"text": "t3"}])}
    general = {"source": write("general.jsonl", [{"text": "t1"}, {"text": "t9"}, {"text": "other"}])}
    loaded = parted({"sets": {"general": general}}, eval=evaluated, test=own)
    assert texts(loaded.test) == {"t1", "t2", "new"}
    assert texts(loaded.eval) == {"t3"}
    assert texts(loaded.sets["general"]) == {"t9", "other"}
    assert not {"t1", "t2", "t3", "t9"} & texts(loaded.train)
    assert loaded.report.to_dict()["sets"] == {"general": 2}
    assert loaded.report.to_dict()["dropped"]["leakage"] == 6


@pytest.mark.parametrize("where", ["eval", "test", "set"])
def test_overlap_is_refused_where_the_recipe_says_so_and_kept_where_it_does(parted, write, where) -> None:
    rows = {"source": write("own.jsonl", [{"text": "t1"}, {"text": "new"}])}
    sections = {} if where == "set" else {where: rows}
    evaluation = {"sets": {"general": rows}} if where == "set" else {}
    with pytest.raises(UserError, match="training rows that stand in the evaluation data too: 1"):
        parted(evaluation, clean={"leakage": "error"}, **sections)
    kept = parted(evaluation, clean={"leakage": "keep"}, **sections)
    assert "t1" in texts(kept.train) | texts(kept.eval)
    assert "t1" in texts({"eval": kept.eval, "test": kept.test, "set": kept.sets.get("general")}[where])


def test_an_evaluation_set_that_is_all_test_rows_is_refused(parted, write) -> None:
    rows = {"source": write("own.jsonl", [{"text": "t1"}])}
    with pytest.raises(UserError, match="stands in `data") as caught:
        parted({"sets": {"general": rows}}, test=rows)
    assert caught.value.where == "eval.sets.general"


def test_rows_that_belong_together_stand_on_one_side(parted) -> None:
    loaded = parted({"cluster": "talk"}, eval={"holdout": 30}, test={"holdout": 30})

    def talks(rows):
        return {int(text[1:]) // 4 for text in texts(rows)}

    parts = [talks(loaded.train), talks(loaded.eval), talks(loaded.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert 30 <= len(loaded.eval) <= 33
    assert set(loaded.marks) == {row.id for row in loaded.eval}
    assert {mark["talk"] for mark in loaded.marks.values()} == {f"c{number}" for number in parts[1]}


def test_one_family_alone_cannot_be_parted(parted) -> None:
    rows = [{"text": f"t{n}", "talk": "one"} for n in range(20)]
    with pytest.raises(UserError, match="leaves none to train on"):
        parted({"cluster": "talk"}, rows, eval={"holdout": 5})


@pytest.mark.parametrize("evaluation", [{"cluster": "tak"}, {"slices": "tak"}, {"slices": ["kind", "tak"]}])
def test_a_column_that_is_not_there(parted, evaluation) -> None:
    with pytest.raises(UserError, match="names the column `tak`") as caught:
        parted(evaluation)
    assert "did you mean `talk`" in caught.value.hint


def test_slices_are_marked_by_their_values(parted) -> None:
    loaded = parted({"slices": "kind"}, eval={"holdout": 40})
    assert {mark["kind"] for mark in loaded.marks.values()} == {"0", "1"}
