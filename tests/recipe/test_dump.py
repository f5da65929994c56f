from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipe.dump import recipe_hash, scalar_text, to_yaml
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.nodes import node_to_plain
from tunesmith.recipe.yaml.parse import parse

Write = Callable[..., Path]
TASKS = {
    "causal-lm": "prompt: question\n    completion: answer",
    "sequence-classification": "text: question\n    label: answer",
    "regression": "text: question\n    target: answer",
    "image-classification": "image: question\n    label: answer",
}
MORE = """
tune: {layers: [head, {last: 2}], lora: {targets: [a, b], layers: {match: "x.*"}}}
eval: {every: 0.5 epochs, metrics: [loss]}
stop: [{target: {loss: 0.123456789}}, {plateau: {min_gain: 1e-5}}, {budget: {time: 1h, epochs: 2.5}}]
run:
  dir: "1e5"
  merge: "no"
  save_every: 1000000 tokens
  variants: {a: {tune.layers: head, optimizer: {clip: null}}}
"""


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("more", ["", MORE])
def test_a_dumped_recipe_loads_to_the_same(write: Write, good: str, task: str, more: str):
    text = good.replace("causal-lm", task).replace(
        'prompt: "Q: {question}"\n    completion: answer', TASKS[task]
    )
    text = text.replace("1e-3", "1e-3, clip: null, betas: [0.9, 0.95], eps: 1e-12")
    first = load_recipe(write(text + more))
    dumped = to_yaml(first)
    second = load_recipe(write(dumped, "elsewhere/recipe.yaml"))
    assert second == first
    assert recipe_hash(second) == recipe_hash(first)
    assert to_yaml(second) == dumped


def test_every_default_is_written(write: Write, good: str):
    dumped = to_yaml(load_recipe(write(good)))
    for line in ("schedule: cosine", "clip: 1", "every: 1 epoch", "epochs: 3", "dir: runs/r", "dtype: auto"):
        assert line in dumped
    assert "null" not in dumped


@pytest.mark.parametrize(
    "override", ["run.dir=x", "run.keep=5", "data.workers=2", "batch.micro=2", "run.threads=1"]
)
def test_the_hash_leaves_out_what_does_not_shape_learning(write: Write, good: str, override: str):
    path = write(good)
    assert recipe_hash(load_recipe(path, [override])) == recipe_hash(load_recipe(path))


@pytest.mark.parametrize(
    "override",
    [
        "run.seed=1",
        "batch.size=16",
        "optimizer.learning_rate=2e-3",
        "data.max_length=9",
        "stop.0.budget.epochs=4",
    ],
)
def test_the_hash_changes_with_what_does(write: Write, good: str, override: str):
    path = write(good)
    assert recipe_hash(load_recipe(path, [override])) != recipe_hash(load_recipe(path))


WORDS = [
    "no",
    "1e5",
    "",
    "~",
    "null",
    "<<",
    "=",
    "0x1F",
    "a: b",
    "# x",
    "{a}",
    "- x",
    "'",
    '"',
    "x\n",
    "\n",
    " x ",
    "!!x",
    "&a",
    "*a",
    "\t",
    "é\u2028ü",
    "\x85",
    "\ufeff",
    "😀",
    "%",
    "@",
    "`",
    "|\n",
    "...",
    "---",
]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
)
def test_any_text_survives(text: str):
    base = {
        "task": "causal-lm",
        "model": {"new": {"model_type": "x", text: [text, 1.5, None, True]}},
        "data": {"train": {"source": "a/b", "prompt": text}},
        "optimizer": {"learning_rate": 1e-3},
        "batch": {"size": 8},
    }
    recipe = Recipe.model_validate(base)
    node = parse(to_yaml(recipe), "dumped", Path())
    assert node is not None
    assert Recipe.model_validate(node_to_plain(node)) == recipe
    inside = parse(f"[{scalar_text(text)}, {{a: {scalar_text(text)}}}]", "scalar", Path())
    assert inside is not None
    assert node_to_plain(inside) == [text, {"a": text}]
