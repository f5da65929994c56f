"""Models made and opened, their heads, and what learns in which number type."""

import shutil
from types import SimpleNamespace

import pytest
import torch

from tunesmith.errors import UserError
from tunesmith.model.load import Head, load_config, load_model, load_outline, set_padding
from tunesmith.model.positions import positions_of
from tunesmith.model.tune.apply import apply_tune, needs_autocast
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.schema.tune import LayerRange, Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

CLASSES = SEQUENCE_CLASSIFICATION
LANGUAGE = CAUSAL_LM
IMAGES = IMAGE_CLASSIFICATION
F32, BF16 = torch.float32, torch.bfloat16


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("llama", Head(LANGUAGE)),
        ("bert", Head(CLASSES, ("a", "b", "c"))),
        ("bert", Head(REGRESSION)),
        ("resnet", Head(IMAGES, ("black", "white"))),
    ],
)
def test_a_new_model_is_all_fresh_and_its_outline_counts_the_same(tiny, kind, head) -> None:
    recipe = tiny.new(kind)
    config = load_config(recipe, head, 320 if kind != "resnet" else None)
    model, fresh = load_model(recipe, head, config, F32)
    outline, planned = load_outline(recipe, head, config)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sizes == {name: parameter.numel() for name, parameter in outline.named_parameters()}
    assert fresh == planned == set(sizes)
    assert {parameter.device.type for parameter in outline.parameters()} == {"meta"}
    if head.labels:
        assert model.config.id2label == dict(enumerate(head.labels))
        assert model.config.label2id == {label: index for index, label in enumerate(head.labels)}
    if head.has_number:
        assert (model.config.num_labels, model.config.problem_type) == (1, "regression")


HEAD = {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize(
    ("head", "fresh"),
    [
        (Head(CLASSES, ("a", "b", "c")), set()),
        (Head(CLASSES, ("a", "b", "d")), HEAD),
        (Head(CLASSES, ("a", "b")), HEAD),
        (Head(REGRESSION), HEAD),
    ],
)
def test_other_labels_start_the_head_anew(tiny, labelled, head, fresh) -> None:
    original = tiny.make("bert", tiny.classes("a", "b", "c")).state_dict()
    model, found = tiny.reopen(labelled, head)
    assert found == fresh
    for name, weight in model.state_dict().items():
        kept = weight.shape == original[name].shape and torch.equal(weight, original[name])
        assert kept == (name not in fresh), name
    assert model.num_labels == max(1, len(head.labels))
    if head.labels:
        assert model.config.id2label == dict(enumerate(head.labels))


def test_a_saved_model_reopens_with_the_same_answers(tiny, tmp_path) -> None:
    model = tiny.make("llama")
    model.save_pretrained(tmp_path)
    reopened, fresh = tiny.reopen(tmp_path, tiny.language)
    assert not fresh
    assert torch.equal(reopened(input_ids=tiny.ids).logits, model(input_ids=tiny.ids).logits)
    assert {p.dtype for p in tiny.reopen(tmp_path, tiny.language, BF16)[0].parameters()} == {BF16}
    assert positions_of(reopened.config) == 2048


def broken(folder, how: str) -> None:
    weights, config = folder / "model.safetensors", folder / "config.json"
    match how:
        case "no folder":
            shutil.rmtree(folder)
        case "no config":
            config.unlink()
        case "no weights":
            weights.unlink()
        case "half the weights":
            weights.write_bytes(weights.read_bytes()[:5000])
        case "weights of another kind":
            weights.write_bytes(b"not weights at all, but text of some length")
        case "half a config":
            config.write_text('{"model_type"')
        case "unknown architecture":
            config.write_text('{"model_type": "lamma"}')


@pytest.mark.parametrize(
    "how",
    [
        "no folder",
        "no config",
        "no weights",
        "half the weights",
        "weights of another kind",
        "half a config",
        "unknown architecture",
    ],
)
def test_what_does_not_load_is_a_message(tiny, labelled, tmp_path, how) -> None:
    folder = shutil.copytree(labelled, tmp_path / "model")
    broken(folder, how)
    with pytest.raises(UserError) as caught:
        tiny.reopen(folder, tiny.classes("a", "b", "c"))
    assert str(folder) in caught.value.what
    assert caught.value.where == "model.source"
    assert caught.value.hint
    assert len(caught.value.what) < 500


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model_type": "lama"}, "lama"),
        ({"model_type": "llama", "hidden_size": "wide"}, "hidden_size"),
        ({"model_type": "llama", "hidden_size": 32, "num_attention_heads": 5}, "multiple of the number"),
    ],
)
def test_a_refused_configuration_is_a_message(settings, words) -> None:
    with pytest.raises(UserError, match="transformers refuses this configuration") as caught:
        load_config(Model(new=settings), Head(LANGUAGE), 320)
    assert words in caught.value.what
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("kind", "auto", "task"),
    [
        ("t5", LANGUAGE, "causal-lm"),
        ("resnet", LANGUAGE, "causal-lm"),
        ("resnet", CLASSES, "sequence-classification"),
        ("llama", IMAGES, "image-classification"),
    ],
)
@pytest.mark.parametrize("source", ["new", "folder"])
def test_a_model_of_another_kind_names_the_task(tiny, tmp_path, kind, auto, task, source) -> None:
    head, recipe = Head(auto), tiny.new(kind)
    config = load_config(recipe, head, None)
    if source == "folder":
        config.save_pretrained(tmp_path)
        recipe = Model(source=str(tmp_path))
    for open_it in (
        lambda: load_model(recipe, head, config, F32),
        lambda: load_outline(recipe, head, config),
    ):
        with pytest.raises(UserError, match=f"`{kind}` model cannot do the task `{task}`"):
            open_it()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_decoder_with_a_classification_head_learns_its_padding(tiny, tmp_path, tokenizer, kind) -> None:
    head = tiny.classes("a", "b")
    model = tiny.make(kind, head, pad_token_id=None)
    set_padding(model.config, head, tokenizer)
    short, pad = tiny.ids[:1, :4], torch.full((1, 3), tokenizer.pad_token_id)
    batch = torch.cat([torch.cat([short, pad], 1), tiny.ids[1:]])
    mask = (batch != tokenizer.pad_token_id).long()
    logits = model(input_ids=batch, attention_mask=mask).logits
    torch.testing.assert_close(logits[:1], model(input_ids=short).logits)
    model.save_pretrained(tmp_path)
    assert tiny.reopen(tmp_path, head)[0].config.pad_token_id == tokenizer.pad_token_id


def test_padding_of_others_is_left_alone(tiny) -> None:
    processor = SimpleNamespace(pad_token_id=7)
    language, own = tiny.make("llama", pad_token_id=None), tiny.make("bert", tiny.classes("a", "b"))
    set_padding(language.config, tiny.language, processor)
    set_padding(own.config, tiny.classes("a", "b"), processor)
    assert (language.config.pad_token_id, own.config.pad_token_id) == (None, 0)


def tune(model, choice: Tune, dtype=F32, fresh=frozenset(), auto=LANGUAGE):
    return apply_tune(model, choice, task=auto, fresh=fresh, dtype=dtype)


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        (Tune(layers="head", lora=Lora()), "cannot stand together"),
        (Tune(layers="none"), "nothing to learn"),
    ],
)
def test_choices_that_cannot_be(tiny, choice, what) -> None:
    with pytest.raises(UserError, match=what) as caught:
        tune(tiny.make("llama"), choice)
    assert caught.value.where == "tune"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("choice", "autocast", "fused"),
    [
        (Tune(), True, 0),
        (Tune(layers=LayerRange(last=1)), True, 0),
        (Tune(lora=Lora()), False, 14),
        (Tune(lora=Lora(targets=("q_proj",))), False, 2),
        (Tune(lora=Lora(), save_modules=("embed_tokens",)), True, 14),
        (Tune(lora=Lora(dropout=0.1)), True, 0),
        (Tune(lora=Lora(dora=True)), True, 0),
    ],
)
def test_frozen_weights_are_narrow_and_learning_ones_wide(tiny, choice, autocast, fused) -> None:
    tuned = tune(tiny.make("llama"), choice, BF16)
    parameters = dict(tuned.model.named_parameters())
    assert tuned.trained == {name for name, parameter in parameters.items() if parameter.requires_grad}
    assert tuned.trained
    for name, parameter in parameters.items():
        assert parameter.dtype == (F32 if name in tuned.trained else BF16), name
    assert tuned.fused == fused
    assert needs_autocast(tuned.model, BF16) == autocast
    assert not needs_autocast(tuned.model, F32)
    with torch.autocast("cpu", BF16, enabled=autocast):
        loss = tuned.model(input_ids=tiny.ids).logits.float().square().mean()
    loss.backward()
    assert all((p.grad is not None) == (name in tuned.trained) for name, p in parameters.items())


def test_fresh_parameters_learn_whatever_is_chosen(tiny, labelled) -> None:
    model, fresh = tiny.reopen(labelled, tiny.classes("x", "y"))
    assert tune(model, Tune(layers="none"), fresh=fresh, auto=CLASSES).trained == fresh == HEAD
