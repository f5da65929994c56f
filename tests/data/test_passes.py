"""Rows go through a model in passes of similar and bounded length, each row once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.passes import picture_length, split_passes, tokens_per_pass

LENGTHS = st.lists(st.integers(1, 600), max_size=80)


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 70) | st.none(), st.booleans())
def test_every_row_once_sorted_and_no_pass_above_its_bounds(lengths, tokens, rows, padded) -> None:
    groups = split_passes(lengths, tokens=tokens, rows=rows, padded=padded)
    together = [index for group in groups for index in group]
    assert sorted(together) == list(range(len(lengths)))
    assert [lengths[index] for index in together] == sorted(lengths)
    for group in groups:
        own = [lengths[index] for index in group]
        cost = len(own) * max(own) if padded else sum(own)
        assert len(group) == 1 or (cost <= tokens and cost - sum(own) <= max(cost / 4, tokens / 16))
        assert rows is None or 1 <= len(group) <= rows


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 70), st.booleans())
def test_a_pass_ends_only_where_the_next_row_does_not_fit(lengths, tokens, rows, padded) -> None:
    groups = split_passes(lengths, tokens=tokens, rows=rows, padded=padded)
    for group, following in pairwise(groups):
        own = [lengths[index] for index in (*group, following[0])]
        cost = len(own) * max(own) if padded else sum(own)
        assert cost > tokens or cost - sum(own) > max(cost / 4, tokens / 16) or len(group) == rows


@pytest.mark.parametrize("long", [60, 512, 5000])
def test_a_long_row_stretches_no_other(long) -> None:
    groups = split_passes([20] * 30 + [long] + [20] * 30, tokens=4096, rows=64)
    assert groups == [[*range(30), *range(31, 61)], [30]]


def test_nothing_gives_no_pass() -> None:
    assert split_passes([], tokens=50) == []


@pytest.mark.parametrize(("device", "more"), [("cpu", 1), ("cuda", 4), ("mps", 4)])
def test_a_gpu_takes_more_at_once(device: str, more: int) -> None:
    assert tokens_per_pass(device) == more * tokens_per_pass("cpu")


@pytest.mark.parametrize(("side", "patches"), [(8, 1), (16, 1), (224, 196)])
def test_a_picture_counts_by_its_patches(side: int, patches: int) -> None:
    assert picture_length(side, side) == patches
