"""Groups of evaluation examples: strata of a subset, clusters, slices."""

from collections import Counter
from types import SimpleNamespace

import pytest

from tunesmith.errors import UserError
from tunesmith.prepare.eval_sets import make_eval_sets, strata
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION


def parts(examples, marks=None, **evaluation):
    recipe = SimpleNamespace(eval=Eval.model_validate(evaluation), run=SimpleNamespace(seed=0))
    head = SimpleNamespace(task=SEQUENCE_CLASSIFICATION)
    held_out = SimpleNamespace(eval=examples, marks=marks or {}, sets={}, test=())
    return SimpleNamespace(recipe=recipe, held_out=held_out, head=head)


def examples(count, **fields):
    return [{"id": f"r:{n}", **{key: value(n) for key, value in fields.items()}} for n in range(count)]


def test_every_beginning_of_a_growing_subset_holds_each_label(monkeypatch) -> None:
    rows = examples(400, reference=lambda n: 0 if n < 300 else 1 + n % 2)
    ordered, aside = make_eval_sets(parts(rows, subset="auto"))
    assert sorted(row["id"] for row in ordered) == sorted(row["id"] for row in rows)
    assert Counter(row["reference"] for row in ordered[:64]) == {0: 48, 1: 8, 2: 8}
    assert aside.clusters is None
    assert make_eval_sets(parts(rows))[0] is rows, "all rows stay in their order"


def test_strata_without_labels() -> None:
    targets = strata(examples(100, reference=lambda n: float(n % 50)), "number")
    assert set(Counter(targets).values()) == {10}
    assert set(strata(examples(100, reference=lambda n: f"a{n % 5}"), "tokens")) == {
        f"a{n}" for n in range(5)
    }
    assert set(strata(examples(100, reference=lambda n: f"answer {n}"), "tokens")) == {0}


def test_rows_without_a_cluster_stand_alone() -> None:
    rows = examples(30, reference=lambda n: "a")
    marks = {f"r:{n}": {"talk": "" if n < 10 else f"c{n // 10}"} for n in range(30)}
    _, aside = make_eval_sets(parts(rows, marks, cluster="talk"))
    assert aside.clusters is not None
    assert len(set(aside.clusters.tolist())) == 10 + 2


def test_slices_of_few_rows_are_not_measured_apart() -> None:
    rows = examples(50, reference=lambda n: "a")
    marks = {f"r:{n}": {"kind": "a" if n < 20 else "b" if n < 41 else "rare"} for n in range(50)}
    _, aside = make_eval_sets(parts(rows, marks, slices="kind"))
    assert {key: len(places) for key, places in aside.slices.items()} == {
        ("kind", "a"): 20,
        ("kind", "b"): 21,
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [(lambda n: "one", "has 1 values in 50"), (str, "0 of them in 10 rows or more")],
)
def test_a_column_that_makes_no_slices(value, words) -> None:
    marks = {f"r:{n}": {"kind": value(n)} for n in range(50)}
    with pytest.raises(UserError, match=words):
        make_eval_sets(parts(examples(50, reference=lambda n: "a"), marks, slices="kind"))


def test_one_cluster_is_no_evidence() -> None:
    marks = {f"r:{n}": {"talk": "same"} for n in range(50)}
    with pytest.raises(UserError, match="have the same `talk`"):
        make_eval_sets(parts(examples(50, reference=lambda n: "a"), marks, cluster="talk"))
