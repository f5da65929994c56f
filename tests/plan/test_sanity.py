"""Settings that are slips rather than choices are said with numbers, and usual ones are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.plan.sanity import unusual_batch, unusual_rate
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.recipe import Recipe


def recipe(rate: float, **tune: object) -> Recipe:
    return Recipe.model_validate(
        {
            "task": "causal-lm",
            "model": {"source": "org/name"},
            "data": {"train": [{"source": "org/rows"}]},
            "optimizer": {"learning_rate": rate},
            "batch": {"size": 8},
            "tune": tune,
        }
    )


@pytest.mark.parametrize(
    ("rate", "tune", "words"),
    [
        (0.2, {"lora": {}}, "1,000 times the 0.0002 that is usual for adapters"),
        (0.02, {}, "1,000 times the 2e-05 that is usual for a pretrained model"),
        (1.0, {"layers": "head"}, "1,000 times the 0.001"),
        (2e-7, {"lora": {}}, "1,000 times below"),
    ],
)
def test_a_learning_rate_far_from_the_usual(rate: float, tune: dict[str, object], words: str):
    [said] = unusual_rate(recipe(rate, **tune))
    assert words in said


def test_usual_ones_and_those_of_the_shipped_recipes_pass_in_silence():
    for rate, tune in ((1e-3, {"lora": {}}), (2e-4, {"lora": {}}), (1e-4, {}), (5e-6, {})):
        assert not list(unusual_rate(recipe(rate, **tune)))
    shipped = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
    assert shipped
    for path in shipped:
        assert not list(unusual_rate(load_recipe(path))), path


def test_a_batch_above_the_data():
    [said] = unusual_batch(1024, 59, 10)
    assert "`batch.size` 1,024 is more than the 59 examples" in said
    assert "10 steps = 174 epochs" in said
    assert "each step is more than an epoch" in next(iter(unusual_batch(100, 59, None)))
    assert "of 50 examples" in next(iter(unusual_batch(8, 50, 1000)))
    assert not list(unusual_batch(8, 50, 18))
