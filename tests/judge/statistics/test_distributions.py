from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.statistics.distributions import (
    beta_share,
    binomial_tail,
    normal_tail,
    spend,
    student_tail,
)


@pytest.mark.parametrize(
    ("t", "freedom", "share"),
    [
        (0.0, 5, 0.5),
        (2.015, 5, 0.05),  # printed tables of Student's t
        (1.645, 100_000, 0.05),
        (-2.764, 10, 0.99),
        (6.314, 1, 0.05),
        (3.365, 5, 0.01),
    ],
)
def test_student_against_the_printed_table(t, freedom, share) -> None:
    assert student_tail(t, freedom) == pytest.approx(share, abs=2e-4)


@given(st.integers(1, 60), st.data())
def test_the_binomial_tail_is_the_sum_of_its_terms(trials, data) -> None:
    hits, chance = data.draw(st.integers(0, trials)), data.draw(st.floats(0.01, 0.99))
    terms = [math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(hits, trials + 1)]
    assert binomial_tail(hits, trials, chance) == pytest.approx(sum(terms), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "trials", "chance", "tail"),
    [(0, 0, 0.5, 1.0), (5, 4, 0.5, 0.0), (3, 3, 1.0, 1.0), (1, 3, 0.0, 0.0), (-1, 3, 0.2, 1.0)],
)
def test_the_edges_of_the_binomial_tail(hits, trials, chance, tail) -> None:
    assert binomial_tail(hits, trials, chance) == tail


@given(st.floats(0.5, 500), st.floats(0.5, 500), st.floats(1e-6, 1 - 1e-6))
def test_the_beta_function_is_a_share_and_symmetric(a, b, x) -> None:
    share = beta_share(a, b, x)
    assert 0 <= share <= 1
    assert share == pytest.approx(1 - beta_share(b, a, 1 - x), abs=1e-9)


def test_student_with_many_degrees_is_normal() -> None:
    assert student_tail(1.3, 1e6) == pytest.approx(normal_tail(1.3), abs=1e-6)
    assert student_tail(math.inf, 3) == 0.0
    assert student_tail(-math.inf, 3) == 1.0


def test_what_is_spent_over_all_looks_is_the_error_rate() -> None:
    spent = sum(spend(0.05, look) for look in range(1, 100_000))
    assert 0.0499 < spent < 0.05
    assert spend(0.05, 1) > spend(0.05, 2) > spend(0.05, 40) > 0
