"""One prediction against one reference: cases worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.metrics.match import exact_match, label_match, rouge_l, squad_tokens, squared_error, token_f1


@pytest.mark.parametrize(
    ("prediction", "reference", "value"),
    [
        ("yes", "yes", 1),
        (" yes\n", "yes", 1),
        ("New  York\tCity", "New York City", 1),
        ("Yes", "yes", 0),
        ("yes.", "yes", 0),
        ("", "yes", 0),
        ("yes", "", 0),
        ("", " ", 1),
        ("newyork", "new york", 0),
    ],
)
def test_exact_match(prediction, reference, value) -> None:
    assert exact_match(prediction, reference) == value


@pytest.mark.parametrize(
    ("prediction", "reference", "value"),
    [
        ("the cat sat", "a cat sat", 1.0),  # articles do not count
        ("The CAT, sat!", "cat sat", 1.0),
        ("cat", "cat sat", 2 / 3),  # precision 1, recall 1/2
        ("cat cat", "cat sat", 1 / 2),  # a word counts once for each time it stands in both
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("cat", "", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
        ("!?", "cat", 0.0),
    ],
)
def test_token_f1(prediction, reference, value) -> None:
    assert token_f1(prediction, reference) == pytest.approx(value)


def test_squad_tokens_keep_articles_inside_words() -> None:
    assert squad_tokens("Another theme, an anthem: the A-team") == ["another", "theme", "anthem", "ateam"]


@pytest.mark.parametrize(
    ("prediction", "reference", "value"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("the cat", "the cat sat", 0.8),  # precision 1, recall 2/3
        ("sat cat the", "the cat sat", 1 / 3),  # order counts
        ("", "the cat", 0.0),
        ("the cat", "", 0.0),
        ("", "", 0.0),
        ("кот", "кот", 0.0),  # the tokenizer knows a-z and 0-9 alone, as documented
    ],
)
def test_rouge_l(prediction, reference, value) -> None:
    assert rouge_l(prediction, reference) == pytest.approx(value)


@pytest.mark.parametrize(
    ("prediction", "reference", "value"),
    [(3, "3", 1), ("a ", "a", 1), ("A", "a", 0), ("", "a", 0), (0, 1, 0)],
)
def test_label_match(prediction, reference, value) -> None:
    assert label_match(prediction, reference) == value


def test_squared_error_has_no_largest_value() -> None:
    assert squared_error(1.5, -0.5) == 4.0
    assert squared_error(1e200, 0.0) == float("inf")


@given(st.text(), st.text())
def test_scores_are_fractions_and_equal_texts_score_full(one, other) -> None:
    for score in (exact_match, token_f1):
        assert 0 <= score(one, other) <= 1
        assert score(one, one) == 1
        assert score(one, other) == score(other, one)
