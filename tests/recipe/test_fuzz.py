"""Whatever a file holds, the answer is a recipe or a message for the user, and it comes quickly."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe, recipe_variants
from tunesmith.recipe.schema.recipe import Recipe

GOOD = """\
task: causal-lm
model: {source: org/name}
data:
  train: &rows {source: org/rows, prompt: "Q: {question}", completion: answer}
  eval: {holdout: 0.2}
tune: {layers: [head, {last: 2}], lora: {rank: 8, targets: all-linear}}
optimizer: {learning_rate: 1e-3, betas: [0.9, 0.99]}
batch: {size: 8, micro: 4}
eval: {every: 20 steps, metrics: [f1]}
stop:
  - target: {f1: 0.5}
  - budget: {steps: 9, time: 1h}
run: {seed: 3, variants: {a: {tune.layers: head}, b: {batch: {size: 4}}}}
"""
TOKENS = re.findall(r"\w[\w-]*|[^\w\s]|\s+", GOOD)
ODD = [
    "null",
    "[]",
    "{}",
    "true",
    "-1",
    "1e400",
    ".nan",
    "9" * 200,
    "''",
    "!!int",
    "&a",
    "*rows",
    "<<",
    "\t",
    "\n",
    "- ",
    ": ",
    '"',
    "'",
    "#",
    "|",
    ">",
    "?",
    "%",
    "0",
    "\x00",
    "é",
    "😀",
    "a.b",
    "../..",
    "/",
    "~",
]
settings.register_profile("fuzz", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
quick = settings(settings.get_profile("fuzz"), max_examples=150)


def outcome(folder: Path, raw: bytes, overrides: tuple[str, ...] = ()) -> str:
    path = folder / "fuzz.yaml"
    path.write_bytes(raw)
    start = time.process_time()
    try:
        recipe = load_recipe(path, overrides)
        assert isinstance(recipe, Recipe)
        assert all(isinstance(one, Recipe) for _, one in recipe_variants(path, overrides))
        message = ""
    except UserError as error:
        message = str(error)
        assert message.strip()
        message.encode()
    assert time.process_time() - start < 4
    return message


def test_the_seed_is_good(tmp_path: Path):
    assert outcome(tmp_path, GOOD.encode()) == ""


@quick
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, raw: bytes):
    assert outcome(tmp_path, raw)


@quick
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text(tmp_path: Path, text: str):
    assert outcome(tmp_path, text.encode())


@quick
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.sampled_from([*TOKENS, *ODD])), max_size=4))
def test_a_recipe_with_words_exchanged(tmp_path: Path, changes: list[tuple[int, str]]):
    tokens = list(TOKENS)
    for index, token in changes:
        tokens[index] = token
    outcome(tmp_path, "".join(tokens).encode())


VALUES = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    "task",
    "model",
    "model.source",
    "data.train",
    "data.train.0",
    "data.eval",
    "tune",
    "tune.layers",
    "tune.layers.1",
    "stop.0",
    "stop",
    "stop.0.target",
    "run.variants",
    "run.variants.a",
    "run.variants.b.batch",
    "optimizer.betas.0",
    "eval.every",
    "model.new.x",
    "batch.size",
    "",
    "a..b",
    "0",
    "run.dir",
]


@quick
@given(st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=3))
def test_any_override(tmp_path: Path, pairs: list[tuple[str, object]]):
    outcome(tmp_path, GOOD.encode(), tuple(f"{key}={value}" for key, value in pairs))


@pytest.mark.parametrize("key", [key for key in KEYS if key])
@pytest.mark.parametrize("value", ["null", "[]", "{}", "[[]]", "x", "1", "{a: {b: [null]}}"])
def test_every_place_takes_every_kind_of_value(tmp_path: Path, key: str, value: str):
    outcome(tmp_path, GOOD.encode(), (f"{key}={value}",))
