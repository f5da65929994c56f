"""A field of the second way in which a task's rows may be written asks for what that way has beside it."""

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe

RECIPE = """
task: token-classification
model: {new: {model_type: bert}, tokenizer: {train: {vocab_size: 300}}}
data: {train: {source: "python:rows:make", text: said}}
optimizer: {learning_rate: 0.001}
batch: {size: 4}
stop: [{budget: {steps: 1}}]
"""


def test_the_other_way_to_write_rows(tmp_path):
    (tmp_path / "rows.py").write_text("def make():\n    return []\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises(UserError, match="`text` needs `spans` beside it"):
        load_recipe(tmp_path / "recipe.yaml")
