"""Quantised weights only where something can learn over them."""

from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe

RECIPE = """\
task: causal-lm
model: {{source: org/name, quantize: {quantize}}}
data: {{train: {{source: ./rows.jsonl, prompt: question, completion: answer}}}}
tune: {tune}
optimizer: {{learning_rate: 1e-3}}
batch: {{size: 8}}
"""


@pytest.fixture
def write(tmp_path: Path):
    def make(quantize: str, tune: str) -> Path:
        (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n')
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.format(quantize=quantize, tune=tune))
        return path

    return make


@pytest.mark.parametrize(
    ("quantize", "tune", "where", "words"),
    [
        ("4bit", "{}", ":2:", "needs `tune.lora`"),
        ("8bit", "{layers: {last: 1}}", ":2:", "needs `tune.lora`"),
        ("8bit", "{lora: {dora: true}}", ":4:", "`tune.lora.dora` cannot be computed"),
        ("3bit", "{lora: {rank: 8}}", ":2:", "quantize"),
    ],
)
def test_what_cannot_work_is_named(write, quantize: str, tune: str, where: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(write(quantize, tune))
    assert words in caught.value.what
    assert where in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize(("quantize", "dora"), [("4bit", "false"), ("4bit", "true"), ("8bit", "false")])
def test_what_works_is_taken(write, quantize: str, dora: str) -> None:
    recipe = load_recipe(write(quantize, f"{{lora: {{rank: 8, dora: {dora}}}}}"))
    assert recipe.model.quantize == quantize
