"""The order of rows as numbers and as names."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.mixture import make_mixture, mixed_index, mixed_rows
from tunesmith.data.row_order import (
    RowOrder,
    hash_of_samples,
    nearest_id,
    order_from_plain,
    order_to_plain,
    pack_ids,
    split_id,
    unpack_ids,
)

names = st.sampled_from(["a.jsonl", "a.jsonl#1", "x:y", "", "ü"])
ids = st.builds("{}:{}".format, names, st.integers(0, 12)) | st.text(max_size=6)


@st.composite
def mixtures(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    weights = draw(st.none() | st.lists(st.floats(0.1, 9), min_size=len(sizes), max_size=len(sizes)))
    sources = [source for source, size in enumerate(sizes) for _ in range(size)]
    return make_mixture(sources, weights or [None] * len(sizes))


@given(mixtures(), st.lists(st.integers(0, 300), max_size=40), st.integers(0, 2**70))
def test_many_positions_at_once_are_each_position(mixture, positions, seed) -> None:
    found = mixed_rows(mixture, np.array(positions, dtype=np.int64), seed)
    assert found.tolist() == [mixed_index(mixture, position, seed) for position in positions]


@given(mixtures(), st.integers(1, 7), st.integers(0, 9), st.data())
def test_an_order_is_written_and_read(mixture, batch_size, seed, data) -> None:
    size = sum(len(part.rows) for part in mixture.parts)
    excluded = data.draw(st.frozensets(st.integers(0, size - 1)))
    order = RowOrder(mixture=mixture, batch_size=batch_size, seed=seed, excluded=excluded)
    rows = [f"a.jsonl:{row}" for row in range(size)]
    plain = json.loads(json.dumps({"begins": 3, **order_to_plain(rows, order)}))
    found = order_from_plain(plain)
    assert (found.begins, found.ids, found.order) == (3, tuple(rows), order)
    assert order.places_of([0, 5]).tolist() == [order.places(0), order.places(5)]
    assert order.learnt(5) == [row for row in order.places(5) if row not in excluded]


@given(st.lists(ids))
def test_any_ids_are_packed_and_unpacked(many) -> None:
    assert unpack_ids(json.loads(json.dumps(pack_ids(many)))) == many


def test_neighbours_take_no_room_of_their_own() -> None:
    packed = pack_ids([f"a.jsonl:{line}" for line in range(1, 10**5) if line % 1000])
    assert len(json.dumps(packed)) < 2000


@pytest.mark.parametrize(
    "broken",
    [
        {"batch_size": 0},
        {"batch_size": 10**12},
        {"ids": [["a", [0, 10**12]]]},
        {"parts": []},
        {"parts": [{"rows": [0, 9], "count": 9}]},
        {"parts": [{"rows": [0, 2], "count": 10**12}]},
        {"ids": None},
        {"excluded": [1]},
    ],
)
def test_what_cannot_be_is_no_order(broken) -> None:
    order = RowOrder(mixture=make_mixture([0, 0], [None]), batch_size=1, seed=0)
    plain = {"begins": 0, **order_to_plain(["a:1", "a:2"], order)}
    assert order_from_plain(plain).order == order
    with pytest.raises((TypeError, ValueError)):
        order_from_plain({**plain, **broken})


@pytest.mark.parametrize(
    ("row_id", "label", "line"),
    [("a.jsonl:12", "a.jsonl", 12), ("x:y:0", "x:y", 0), ("a:012", "a:012", None), ("a", "a", None)],
)
def test_an_id_has_a_source_and_a_line(row_id, label, line) -> None:
    assert split_id(row_id) == (label, line)


def test_the_nearest_id_is_of_the_same_or_of_a_like_source() -> None:
    known = ["train.jsonl:3", "train.jsonl:9", "more.jsonl:5"]
    assert nearest_id("train.jsonl:8", known) == "train.jsonl:9"
    assert nearest_id("trian.jsonl:1", known) == "train.jsonl:3"
    assert nearest_id("photographs/0", known) is None
    assert nearest_id("x", []) is None


def test_the_hash_names_the_samples_whatever_their_order() -> None:
    assert hash_of_samples(["a", "b"]) == hash_of_samples(["b", "a"])
    assert len({hash_of_samples(ids) for ids in (["a", "b"], ["a", "c"], ["ab"], ["a"], [])}) == 5
