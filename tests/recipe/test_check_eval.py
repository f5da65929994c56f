"""Further sets, slices, a test split and averages: what cannot work is said with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.recipe.dump import recipe_hash, to_yaml
from tunesmith.recipe.load import load_recipe

SET = "{source: ./rows.jsonl, prompt: '{question}', completion: answer}"

WRONG = [
    (f"eval: {{sets: {{worst: {SET}}}}}", "`worst` has a meaning of its own"),
    (f"eval: {{sets: {{'a b': {SET}}}}}", "`a b` cannot be the name of an evaluation set"),
    (f"eval: {{sets: {{'2': {SET}}}}}", "`2` cannot be the name of an evaluation set"),
    ("eval: {sets: {general: {source: ./nothing.jsonl}}}", "there is no file or folder"),
    ("eval: {sets: {general: {holdout: 5}}}", "unknown key `eval.sets.general.holdout`"),
    ("eval: {sets: {general: {source: ./rows.jsonl, text: x, metrics: [f2]}}}", "unknown metric `f2`"),
    ("eval: {sets: {general: {source: ./rows.jsonl, prompt: x}}}", "`prompt` needs `completion`"),
    ("eval: {sets: {general: {source: ./rows.jsonl, weight: 2}}}", "every evaluation row counts once"),
    ("stop: [{guard: {metric: general/loss, max_drop: 1}}]", "there is no evaluation set `general`"),
    (
        f"eval: {{sets: {{general: {SET}}}}}\nstop: [{{target: {{genral/f1: 0.5}}}}]",
        "did you mean `general/f1`?",
    ),
    (f"eval: {{sets: {{general: {SET}}}}}\nstop: [{{target: {{general/f2: 0.5}}}}]", "unknown metric `f2`"),
    (
        f"eval: {{sets: {{general: {SET}}}}}\nstop: [{{target: {{general/f1: 50}}}}]",
        "can never be reached",
    ),
    ("stop: [{target: {worst/f1: 0.5}}]", "needs `eval.slices`"),
    (
        "eval: {slices: question, subset: auto}\nstop: [{target: {worst/f1: 0.5}}]",
        "`eval.subset: auto` measures on few of them",
    ),
    ("eval: {slices: [question, question]}", "stands twice in `eval.slices`"),
    ("eval: {slices: 'a=b'}", "cannot be a column of `eval.slices`"),
    ("run: {average: {}}", "neither `ema` nor `soup`"),
    ("run: {average: {ema: 1}}", "`run.average.ema` must be a number of at least 0.5 and below 1"),
    ("run: {average: {soup: 1}}", "`run.average.soup` must be a whole number above 1"),
]


@pytest.mark.parametrize(("more", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_cannot_work_is_said(message: Callable[..., str], good: str, more: str, words: str) -> None:
    text = message(good + more + "\n")
    assert words in text
    assert "r.yaml:" in text


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.test.holdout=1.5", "`data.test.holdout` must be whole rows or a share below 1"),
        ("data.test={source: ./nothing.jsonl}", "there is no file or folder"),
        ("data.test={source: ./rows.jsonl, weight: 2}", "`data.test.weight` means nothing"),
        ("data.test={source: ./rows.jsonl, label: x}", "task `causal-lm` has no field `label`"),
    ],
)
def test_a_test_split_is_checked_like_the_evaluation(
    message: Callable[..., str], good: str, override: str, words: str
) -> None:
    assert words in message(good, override)


def test_two_holdouts_together_may_leave_nothing(message: Callable[..., str], good: str) -> None:
    text = message(good, "data.train.limit=100", "data.eval.holdout=60", "data.test.holdout=40")
    assert "`data.test.holdout` (40) leaves nothing of the 100 training rows" in text


def test_what_can_work_comes_back_as_it_was(write: Callable[..., Path], good: str, tmp_path: Path) -> None:
    more = f"""\
eval: {{sets: {{general: {SET}}}, slices: question, cluster: answer}}
run: {{average: {{ema: 0.999, soup: 4}}}}
stop: [{{guard: {{metric: general/loss, max_drop: 0.1}}}}, {{target: {{worst/f1: 0.5}}}}]
"""
    recipe = load_recipe(write(good + more), ["data.test.holdout=0.1"])
    assert recipe.eval.sets["general"].source == str(tmp_path / "rows.jsonl"), "relative to the recipe"
    assert recipe.eval.columns == ("question",)
    again = load_recipe(write(to_yaml(recipe), "again.yaml"))
    assert again.eval == recipe.eval
    assert again.data == recipe.data
    assert again.run.average == recipe.run.average
    assert recipe_hash(again) == recipe_hash(recipe)
