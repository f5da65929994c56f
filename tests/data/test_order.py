"""Order as a pure function."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.mixture import permutation, sample_index, samples_of_step

sizes = st.integers(1, 60)
seeds = st.integers(0, 2**70)


@given(sizes, seeds, st.integers(0, 5))
def test_each_epoch_is_a_permutation(size, seed, epoch) -> None:
    drawn = [sample_index(epoch * size + place, size, seed) for place in range(size)]
    assert sorted(drawn) == list(range(size))


@given(sizes, seeds, st.integers(1, 40), st.integers(0, 10))
def test_steps_are_the_stream_cut_into_full_batches(size, seed, batch, step) -> None:
    rows = samples_of_step(step, batch, size, seed)
    assert len(rows) == batch
    assert rows == [sample_index(step * batch + place, size, seed) for place in range(batch)]


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(permutation(50, epoch, seed)) for epoch in range(10) for seed in range(10)}
    assert len(orders) == 100


def test_every_row_is_as_likely_in_every_place() -> None:
    first = [sample_index(epoch * 4, 4, 0) for epoch in range(4000)]
    assert all(abs(first.count(row) - 1000) < 150 for row in range(4))


def test_the_order_is_pinned() -> None:
    """A change here breaks the continuation of every run that was begun before it."""
    assert samples_of_step(0, 10, 10, 0) == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]


def test_another_process_finds_the_same_order() -> None:
    code = "from tunesmith.data.mixture import samples_of_step as s; print(s(3, 8, 20, 7))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(samples_of_step(3, 8, 20, 7))


def test_a_permutation_cannot_be_changed_by_its_users() -> None:
    with pytest.raises(ValueError, match="read-only"):
        permutation(5, 0, 0)[0] = 1
