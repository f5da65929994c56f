from __future__ import annotations

import pytest

from tunesmith.cli.init.goal import above_baseline
from tunesmith.cli.init.infer_task import Guess

RECIPE = "task: x\nstop:\n  - target: {accuracy: 0.85}  # good enough\n  - budget: {epochs: 3}\n"


def rows(ham: int, spam: int) -> list[dict]:
    return [{"kind": "ham"}] * ham + [{"kind": "spam"}] * spam


GUESS = Guess("sequence-classification", {"label": "kind"})


def test_a_target_that_the_commonest_class_reaches_is_raised() -> None:
    text, told = above_baseline(RECIPE, GUESS, rows(868, 132))
    assert text == RECIPE.replace("0.85", "0.934")
    assert told == ["always `ham` reaches accuracy 0.868, so that the target is set to 0.934"]


def test_one_that_it_does_not_reach_stays() -> None:
    text, told = above_baseline(RECIPE, GUESS, rows(60, 40))
    assert text == RECIPE
    assert told == ["always `ham` reaches accuracy 0.600, and the target asks for 0.85"]


@pytest.mark.parametrize(
    ("recipe", "data"),
    [
        (RECIPE, rows(10, 0)),
        (RECIPE, []),
        (RECIPE.replace("accuracy", "pearson"), rows(9, 1)),
        ("task: x\nstop: [{budget: {steps: 5}}]\n", rows(9, 1)),
    ],
)
def test_where_nothing_is_known_nothing_is_said(recipe, data) -> None:
    assert above_baseline(recipe, GUESS, data) == (recipe, [])


def test_answers_of_a_language_model() -> None:
    text, _ = above_baseline(
        RECIPE.replace("accuracy", "exact_match"), Guess("causal-lm", {"completion": "kind"}), rows(90, 10)
    )
    assert "exact_match: 0.95" in text
