"""Every task's passes are bounded, and each score is that of the row alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tunesmith.data import passes as bounds
from tunesmith.infer.inputs import Question
from tunesmith.infer.predict import predict
from tunesmith.recipe.tasks.text import SequenceClassificationSettings
from tunesmith.tasks.image_classification import ImageClassification
from tunesmith.tasks.language.generation import generate
from tunesmith.tasks.text.regression import Regression
from tunesmith.tasks.text.sequence_classification import SequenceClassification

LENGTHS = [6] * 9 + [60] + [6] * 9 + [20, 20]
BOUND = 64


@pytest.fixture(autouse=True)
def small_passes(monkeypatch) -> None:
    monkeypatch.setitem(bounds.PASS_TOKENS, "cpu", BOUND)


def seen_by(model, name="input_ids"):
    """Shapes of what goes through the model from now on."""
    shapes: list[tuple[int, ...]] = []

    def note(_, args, given):
        if given.get("past_key_values") is None or given["past_key_values"].get_seq_length() == 0:
            shapes.append(tuple(given[name].shape))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    return shapes, handle


def bounded(shapes, rows):
    assert all(one[0] == 1 or one[0] * one[1] <= BOUND for one in shapes), shapes
    assert all(one[0] <= rows for one in shapes)


def gpt2_classifier():
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(6)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.4}
    config = GPT2Config(vocab_size=400, pad_token_id=0, num_labels=3, **sizes)
    return GPT2ForSequenceClassification(config).eval()


def text_task(outputs: int):
    tokenizer = SimpleNamespace(pad_token_id=0)
    if outputs == 1:
        return Regression(tokenizer, 2.0, 3.0, 128, batch_size=8)
    return SequenceClassification(tokenizer, ("a", "b", "c"), 128, batch_size=8)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "number"])
def test_texts(kind, make) -> None:
    outputs = 1 if kind == "number" else 3
    model, task = gpt2_classifier() if kind == "gpt2" else make.bert(outputs), text_task(outputs)
    examples = [
        {"id": str(i), "input": "", "label": i % 3, "target": float(i), "length": length}
        | {"input_ids": [3 + (7 * i + j) % 300 for j in range(length)]}
        for i, length in enumerate(LENGTHS)
    ]
    shapes, handle = seen_by(model)
    scored = task.score(model, examples, predict=True)
    bounded(shapes, 8)
    handle.remove()
    assert len(shapes) == 5, "eight of six twice and two, two of twenty, the long one alone"
    assert [one.id for one in scored] == [str(i) for i in range(len(LENGTHS))]
    for example, one in zip(examples, scored, strict=True):
        [alone] = task.score(model, [example], predict=True)
        assert one.loss == pytest.approx(alone.loss, abs=1e-4)
        assert one.prediction == pytest.approx(alone.prediction, abs=1e-4)


def test_a_language_model_as_a_classifier_keeps_no_cache() -> None:
    model, seen = gpt2_classifier(), []
    model.register_forward_pre_hook(lambda _, args, given: seen.append(given["use_cache"]), with_kwargs=True)
    example = {"id": "0", "input": "", "label": 0, "length": 3, "input_ids": [5, 6, 7]}
    text_task(3).score(model, [example], predict=True)
    assert seen == [False]


def test_pictures() -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(7)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    model = ResNetForImageClassification(ResNetConfig(**sizes, num_labels=2)).eval()
    chance = np.random.default_rng(0)
    examples = [
        {
            "id": str(i),
            "input": "",
            "label": i % 2,
            "length": 1,
            "pixel_values": chance.random((3, 64, 64), "f"),
        }
        for i in range(9)
    ]
    shapes, _ = seen_by(model, "pixel_values")
    scored = ImageClassification(None, ("a", "b")).score(model, examples, predict=True)
    assert [one.id for one in scored] == [str(i) for i in range(9)]
    assert [shape[0] for shape in shapes] == [4, 4, 1], "16 patches each"


def test_padded_language_model(models, task, conversation) -> None:
    made = task(packed=False, tokens_per_pass=BOUND, rows_per_pass=2)
    rows = [conversation("the moon " * n, "yes", row_id=str(n)) for n in (1, 1, 1, 9, 2)]
    examples = [made.encode(row) for row in rows]
    shapes, handle = seen_by(models["llama"])
    made.score(models["llama"], examples, predict=False)
    bounded(shapes, 2)
    handle.remove()


def test_answers(models) -> None:
    model = models["llama"]
    prompts = [[3 + (7 * i + j) % 300 for j in range(length)] for i, length in enumerate(LENGTHS)]
    settings = {"end_tokens": (), "pad_token": 0, "max_new_tokens": 3}
    shapes, handle = seen_by(model)
    found = generate(model, prompts, batch_size=8, **settings)
    bounded(shapes, 8)
    handle.remove()
    assert found == [generate(model, [prompt], batch_size=1, **settings)[0] for prompt in prompts]


def test_a_file_of_texts(make, encoder_tokenizer) -> None:
    model = make.bert(3)
    recipe = SimpleNamespace(
        task=SequenceClassificationSettings(), data=SimpleNamespace(max_length=64, overflow="truncate")
    )
    opened = SimpleNamespace(
        model=model, recipe=recipe, tokenizer=encoder_tokenizer, labels=lambda: ["a", "b", "c"]
    )
    texts = ["the moon"] * 9 + ["the moon turns orange " * 9] + ["the moon"] * 9
    questions = [
        Question(id=str(i), messages=None, text=text, image=None, reference=None)
        for i, text in enumerate(texts)
    ]
    shapes, handle = seen_by(model)
    found = dict(predict(opened, questions, max_new_tokens=1, batch_size=8))
    bounded(shapes, 8)
    handle.remove()
    assert sorted(found) == list(range(len(texts)))
