"""A model card has what somebody needs who was not there: use, prompt, data, licence, what it was before."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunesmith.judge.measurement import Measurement, Progress
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import TASKS
from tunesmith.train.deliver.model_card import front_matter, more_of_card

FIELDS = {
    "causal-lm": {"prompt": "What kind is this? {question}", "completion": "kind", "system": "One word."},
    "sequence-classification": {"text": "question", "label": "kind"},
    "regression": {"text": "tweet", "target": "score"},
    "token-classification": {"fields": {"tokens": "words", "tags": "parts"}},
    "embedding": {"fields": {"anchor": "question", "positive": "kind"}},
    "masked-lm": {"text": "tweet"},
    "image-classification": {"image": "picture", "label": "kind"},
}


def recipe(task: str, source: str) -> Recipe:
    return Recipe.model_validate(
        {
            "task": task,
            "model": {"source": source},
            "data": {"train": [{"source": "./rows.jsonl", **FIELDS[task]}]},
            "optimizer": {"learning_rate": 1e-4},
            "batch": {"size": 1},
            "run": {"dir": "runs/mine"},
        }
    )


@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("task", list(TASKS))
def test_a_card_of_each_task(task: str, adapter: bool, tmp_path: Path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# base\n")
    made = recipe(task, str(tmp_path))
    report = SimpleNamespace(sources=[SimpleNamespace(source="./rows.jsonl")], fingerprint="ab" * 32)
    order = SimpleNamespace(excluded=frozenset({3, 7}))
    parts = SimpleNamespace(recipe=made, report=report, train=[0] * 72, order=order)
    parts.held_out = SimpleNamespace(eval=[0] * 30)
    progress = Progress(step=0, epoch=0.0, tokens=0, seconds=0.0)
    first = Measurement(progress=progress, metrics={"loss": 2.5}, intervals={}, examples=30, seconds=1.0)
    card = more_of_card(parts, SimpleNamespace(history=(first,)), adapter=adapter)
    for words in ("loss 2.5000", "70 rows to learn from", "`./rows.jsonl`", "mit, that of", "## Use"):
        assert words in card
    for spec in made.data.train[0].mapped.values():
        assert spec in card
    code = card.partition("```python\n")[2].partition("```")[0]
    ast.parse(code)
    assert ("peft" in code) == (adapter and task == "causal-lm")
    assert f"pipeline_tag: {TASKS[task].pipeline}" in front_matter(made)
    assert "license: mit" in front_matter(made)


def test_a_base_on_the_hub_is_named_and_its_licence_is_left_to_be_said():
    lines = front_matter(recipe("causal-lm", "org/name"))
    assert lines == ["pipeline_tag: text-generation", "base_model: org/name"]
