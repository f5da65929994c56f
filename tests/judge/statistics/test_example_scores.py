from __future__ import annotations

import json
import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.statistics.example_scores import (
    pack_numbers,
    scores_from_plain,
    scores_of,
    scores_to_plain,
    unpack,
)


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_floats_come_back(values) -> None:
    assert list(unpack(pack_numbers(values))) == values


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1)))
def test_whole_numbers_come_back(values) -> None:
    assert list(unpack(pack_numbers([float(value) for value in values]))) == values


@given(st.lists(st.booleans()))
def test_bits_come_back(values) -> None:
    text = pack_numbers([float(value) for value in values])
    assert list(unpack(text)) == values
    assert len(text) < 40 + len(values) / 4


def test_what_is_not_finite_comes_back() -> None:
    back = unpack(pack_numbers([1.5, math.inf, -math.inf, math.nan]))
    assert back[0] == 1.5
    assert list(np.isfinite(back)) == [True, False, False, False]


def test_half_keeps_three_digits() -> None:
    values = [0.0123456, 3.14159, 99.99]
    assert unpack(pack_numbers(values, half=True)) == pytest.approx(values, rel=1e-3)


@given(st.text(max_size=40))
def test_what_was_never_packed_is_refused_and_nothing_else_happens(text) -> None:
    with suppress(ValueError):
        unpack(text)


@pytest.mark.parametrize("text", ["", "b8", "f2:", "x3:abc", "b99999999999:abc", "f1:" + "0" * 40])
def test_damage_is_noticed(text) -> None:
    with pytest.raises(ValueError, match="packed"):
        unpack(text)


def test_a_text_that_unfolds_to_more_than_it_says_is_refused() -> None:
    long = pack_numbers([0.5] * 100_000).partition(":")[2]
    with pytest.raises(ValueError, match="damaged"):
        unpack(f"f3:{long}")


def test_scores_survive_json() -> None:
    scores = scores_of(40, [1.25, 0.5, 7.0], [3, 1, 4])
    back = scores_from_plain(json.loads(json.dumps(scores_to_plain(scores))))
    assert back.step == 40
    assert back.value == scores.value == 8.75 / 8
    assert list(back.counts) == [3, 1, 4]


def test_ten_thousand_hits_and_misses_take_little_room() -> None:
    hits = (np.random.default_rng(0).random(10_000) < 0.8).astype(float)
    assert len(json.dumps(scores_to_plain(scores_of(1, list(hits))))) < 1800


def test_counts_must_match() -> None:
    with pytest.raises(ValueError, match="belong together"):
        scores_of(1, [1.0, 2.0], [1.0])
