"""Which rows are held out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.split import allocate, holdout_count
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

LABELLED = SEQUENCE_CLASSIFICATION.row_schema


@pytest.fixture
def source(write):
    rows = [{"text": f"t{n}", "label": "rare" if n % 10 == 0 else "often", "fine": n % 3} for n in range(200)]
    return {"source": write("d.jsonl", rows)}


def ids(rows) -> set[str]:
    return {row.id for row in rows}


def test_parts_are_disjoint_complete_and_in_order(source, load) -> None:
    loaded = load(source, needs=LABELLED, eval={"holdout": 50})
    assert len(loaded.eval) == 50
    assert ids(loaded.train).isdisjoint(ids(loaded.eval))
    assert len(ids(loaded.train) | ids(loaded.eval)) == 200
    for part in (loaded.train, loaded.eval):
        lines = [int(row.id.rpartition(":")[2]) for row in part]
        assert lines == sorted(lines)


def test_the_seed_alone_decides(source, load) -> None:
    first = load(source, needs=LABELLED, eval={"holdout": 50})
    again = load(source, needs=LABELLED, eval={"holdout": 50})
    other = load(source, needs=LABELLED, eval={"holdout": 50}, seed=1)
    assert ids(first.eval) == ids(again.eval)
    assert first.fingerprint == again.fingerprint
    assert len(ids(first.eval) & ids(other.eval)) < 30
    assert first.fingerprint != other.fingerprint


def test_rows_added_later_move_few_others(write, load) -> None:
    def held_out(count):
        path = write(f"d{count}.jsonl", [{"text": f"t{n}"} for n in range(count)])
        return {row.fields["text"] for row in load({"source": path}, eval={"holdout": 0.2}).eval}

    assert len(held_out(1000) - held_out(1010)) <= 5


def test_shares_are_kept(source, load) -> None:
    for column in ("label", "fine"):
        loaded = load(source, needs=LABELLED, eval={"holdout": 0.2, "stratify": column})
        assert len(loaded.eval) == 40
    loaded = load(source, needs=LABELLED, eval={"holdout": 0.2, "stratify": "label"})
    assert Counter(row.fields["label"] for row in loaded.eval) == {"rare": 4, "often": 36}


@pytest.mark.parametrize(
    ("holdout", "words"),
    [
        ({"holdout": 200}, "holds out 200 rows, and there are 200 after cleaning"),
        ({"holdout": 1000}, "holds out 1000 rows"),
        ({"holdout": 2.5}, "not a whole number"),
        ({"holdout": 10, "stratify": "lable"}, "did you mean `label`"),
    ],
)
def test_what_cannot_be_held_out(source, load, holdout, words) -> None:
    with pytest.raises(UserError) as caught:
        load(source, needs=LABELLED, eval=holdout)
    assert words in str(caught.value)


@given(st.integers(2, 10_000), st.floats(0.0001, 0.99))
def test_a_share_is_at_least_one_row_and_leaves_one(rows, share) -> None:
    try:
        assert 1 <= holdout_count(rows, share) < rows
    except UserError:
        assert round(share * rows) >= rows


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1, max_size=6), st.data())
def test_allocation_is_exact_and_no_group_gives_more_than_it_has(sizes, data) -> None:
    count = data.draw(st.integers(0, sum(sizes.values())))
    shares = allocate(sizes, count)
    assert sum(shares.values()) == count
    for name, size in sizes.items():
        assert 0 <= shares[name] <= size
        assert abs(shares[name] - count * size / sum(sizes.values())) < 1


CHATS = CAUSAL_LM.row_schema


def shared(write, groups) -> dict:
    """Rows with one prompt a group, and different answers."""
    rows = [
        {"prompt": f"p{g}", "completion": f"a{g} {n}"} for g, size in enumerate(groups) for n in range(size)
    ]
    return {"source": write("s.jsonl", rows)}


@pytest.mark.parametrize("seed", range(8))
def test_a_prompt_that_many_rows_share_costs_no_rows_to_learn_from(write, load, seed) -> None:
    source = shared(write, [60] + [1] * 40)
    loaded = load(source, needs=CHATS, eval={"holdout": 0.1}, seed=seed)
    assert (len(loaded.train), len(loaded.eval)) == (90, 10)
    assert loaded.report.to_dict()["dropped"]["leakage"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_rows_with_one_prompt_stand_on_one_side(write, load, seed) -> None:
    source = shared(write, [1, 2, 3, 4] * 20)
    loaded = load(source, needs=CHATS, eval={"holdout": 30}, test={"holdout": 20}, seed=seed)
    asked = [
        {row.fields["messages"][0]["content"] for row in part}
        for part in (loaded.train, loaded.eval, loaded.test)
    ]
    assert (len(loaded.train), len(loaded.eval), len(loaded.test)) == (150, 30, 20)
    assert len(asked[0] | asked[1] | asked[2]) == sum(len(part) for part in asked) == 80


def test_one_prompt_alone_cannot_be_parted_unless_it_may_stand_on_both_sides(write, load) -> None:
    for groups, words in (([60], "all rows have the same input"), ([60, 60], "2")):
        with pytest.raises(UserError, match=words) as caught:
            load(shared(write, groups), needs=CHATS, eval={"holdout": 0.1})
        assert "leakage: keep" in caught.value.hint
    kept = load(shared(write, [60]), needs=CHATS, eval={"holdout": 0.1}, clean={"leakage": "keep"})
    assert (len(kept.train), len(kept.eval)) == (54, 6)


def test_classes_keep_their_shares_and_none_is_held_out_whole(write, load) -> None:
    labels = ["common"] * 80 + ["rare"] * 10 + ["lone1", "lone2"]
    rows = [{"text": f"t{n}", "label": label} for n, label in enumerate(labels)]
    source = {"source": write("c.jsonl", rows)}
    for seed in range(5):
        for count, expected in ((0.1, {"common": 8, "rare": 1}), (46, {"common": 41, "rare": 5})):
            loaded = load(source, needs=LABELLED, eval={"holdout": count}, seed=seed)
            assert Counter(row.fields["label"] for row in loaded.eval) == expected
            assert {row.fields["label"] for row in loaded.train} == {"common", "rare", "lone1", "lone2"}
