"""What a recipe measures and learns from, where it names fewer rows or rows that cannot be seen."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tunesmith.errors import UserError
from tunesmith.prepare.inputs import prepare
from tunesmith.recipe.load import load_recipe

TEXT = """
task: sequence-classification
model:
  new: {model_type: bert, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 8}
  tokenizer: {train: {vocab_size: 260}}
data: {train: {source: ./rows.jsonl}, eval: {source: ./held.jsonl}, cache: false}
optimizer: {learning_rate: 1e-3}
batch: {size: 4}
eval: {limit: 40}
"""
PICTURES = """
task: image-classification
model:
  image_size: 8
  new: {model_type: resnet, embedding_size: 4, hidden_sizes: [4], depths: [1], layer_type: basic}
data: {train: {source: ./rows.jsonl}, eval: {holdout: 4}}
optimizer: {learning_rate: 1e-3}
batch: {size: 4}
"""


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parts_of(folder, text, *overrides):
    (folder / "r.yaml").write_text(text)
    return prepare(load_recipe(folder / "r.yaml", overrides), folder)


def test_a_limit_of_sorted_evaluation_rows_keeps_the_shares_of_all_labels(tmp_path) -> None:
    (tmp_path / "rows.jsonl").write_text(lines({"text": f"x {n}", "label": "ab"[n % 2]} for n in range(40)))
    held = [{"text": f"y {n}", "label": "a" if n < 60 else "b"} for n in range(80)]
    (tmp_path / "held.jsonl").write_text(lines(held))
    parts = parts_of(tmp_path, TEXT)
    assert Counter(example["label"] for example in parts.held_out.eval) == {0: 30, 1: 10}
    order = [int(example["id"].rpartition(":")[2]) for example in parts.held_out.eval]
    assert order == sorted(order)
    assert parts.report.to_dict()["eval_of"] == 80
    assert parts.report.chosen(0) == ("evaluation: 40 of 80 rows, a sample drawn with seed 0",)
    other = parts_of(tmp_path, TEXT, "run.seed=1")
    assert [e["id"] for e in other.held_out.eval] != [e["id"] for e in parts.held_out.eval]
    assert parts_of(tmp_path, TEXT, "eval.limit=80").report.to_dict().get("eval_of") is None


@pytest.fixture
def pictures(tmp_path):
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for n in range(12):
        Image.fromarray(ramp + n).save(tmp_path / f"{n}.png")
    (tmp_path / "rows.jsonl").write_text(
        lines({"image": f"{n}.png", "label": "ab"[n % 2]} for n in range(12))
    )
    return tmp_path


def test_a_picture_that_cannot_be_read_is_judged_as_a_malformed_row(pictures) -> None:
    (pictures / "3.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="rows that cannot be read: 1") as caught:
        parts_of(pictures, PICTURES)
    assert "3.png" in str(caught.value)
    assert "malformed: drop" in caught.value.hint
    parts = parts_of(pictures, PICTURES, "data.clean.malformed=drop")
    assert len(parts.train) + len(parts.held_out.eval) == 11
    assert parts.report.to_dict()["dropped"]["malformed"] == 1


def test_pictures_that_were_changed_are_counted(pictures) -> None:
    Image.new("RGBA", (8, 8), (9, 9, 9, 128)).save(pictures / "3.png")
    every = [parts_of(pictures, PICTURES, f"run.seed={seed}").report.to_dict() for seed in range(3)]
    assert any(one["found"].get("changed") == 1 for one in every)
    assert all(one["dropped"].get("changed", 0) == 0 for one in every)


def test_memory_that_runs_out_is_a_message(pictures, monkeypatch) -> None:
    def full(*_args, **_more):
        raise MemoryError

    monkeypatch.setattr("tunesmith.prepare.inputs.load_rows", full)
    with pytest.raises(UserError, match="do not fit into memory"):
        parts_of(pictures, PICTURES)
