"""Sources with weights."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.mixture import check_weights, make_mixture, mixed_index, mixed_step, sample_index
from tunesmith.errors import UserError


@given(st.integers(1, 40), st.integers(0, 100), st.integers(0, 9))
def test_without_weights_it_is_the_plain_order(size, position, seed) -> None:
    mixture = make_mixture([0] * size, [None])
    assert mixture.size == size
    assert mixed_index(mixture, position, seed) == sample_index(position, size, seed)


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.data(),
    st.integers(0, 3),
    st.integers(0, 5),
)
def test_each_epoch_has_the_shares_that_the_weights_say(sizes, data, epoch, seed) -> None:
    weights = [data.draw(st.floats(0.1, 10)) for _ in sizes]
    source_of = [source for source, size in enumerate(sizes) for _ in range(size)]
    mixture = make_mixture(source_of, weights)
    drawn = [mixed_index(mixture, epoch * mixture.size + place, seed) for place in range(mixture.size)]
    seen = Counter(source_of[row] for row in drawn)
    for source, weight in enumerate(weights):
        exact = len(source_of) * weight / sum(weights)
        assert abs(seen[source] - exact) < 1 or seen[source] == 1


def test_a_source_shows_all_its_rows_before_any_again() -> None:
    mixture = make_mixture([0] * 90 + [1] * 10, [0.2, 0.8])
    stream = [mixed_index(mixture, position, 0) for position in range(mixture.size * 5)]
    large = [row for row in stream if row < 90]
    small = Counter(row for row in stream if row >= 90)
    assert len(large) == 100
    assert set(large) == set(range(90)), "20 an epoch: all 90 were seen in 5 epochs"
    assert set(small.values()) == {40}


def test_every_source_stays_in_however_small_its_weight() -> None:
    mixture = make_mixture([0] * 5 + [1] * 5, [1.0, 1e-6])
    assert {part.count for part in mixture.parts} == {10, 1}


def test_steps_are_full_and_pure() -> None:
    mixture = make_mixture([0, 0, 0, 1], [1.0, 1.0])
    assert mixed_step(mixture, 2, 3, 5) == [mixed_index(mixture, position, 5) for position in (6, 7, 8)]


def test_some_weights_are_no_weights() -> None:
    check_weights([None, None])
    check_weights([1.0, 2.0])
    with pytest.raises(UserError, match="source 2"):
        check_weights([1.0, None])
