"""Weights that are not the model's, heads for other classes, tokenizers and lengths that do not fit."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, BertModel

from tunesmith.errors import UserError
from tunesmith.model.load import Head, load_config
from tunesmith.model.positions import positions_of
from tunesmith.recipe.schema.model import Model, TokenizerSpec
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION


@pytest.mark.parametrize("how", ["other names", "other shapes", "half of them"])
def test_weights_of_another_model_are_refused(tiny, tmp_path, how) -> None:
    """Transformers would go on with random weights, and training would learn them from nothing."""
    tiny.make("llama").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    if how == "other names":
        weights = {f"other.{name}": value for name, value in weights.items()}
    elif how == "other shapes":
        weights = {name: value[..., :8].contiguous() for name, value in weights.items()}
    else:
        weights = {name: value for name, value in weights.items() if ".layers.1." not in name}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks .* weights of this model") as caught:
        tiny.reopen(tmp_path, tiny.language)
    assert "layers." in caught.value.what


@pytest.mark.parametrize("lost", ["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"])
def test_a_language_model_lacks_nothing(tiny, tmp_path, lost) -> None:
    """An output layer that was lost on the way would start at random, and be called trained."""
    tiny.make("llama", tie_word_embeddings=False).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"lacks 1 weights of this model.*`{lost}`"):
        tiny.reopen(tmp_path, tiny.language)


@pytest.mark.parametrize(
    "lost", ["bert.embeddings.LayerNorm.weight", "bert.embeddings.word_embeddings.weight"]
)
def test_an_encoder_lacks_nothing_but_a_head(tiny, labelled, tmp_path, lost) -> None:
    folder = shutil.copytree(labelled, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=lost):
        tiny.reopen(folder, tiny.classes("a", "b", "c"))


def test_statistics_of_a_batch_normalisation_are_weights_too(tiny, tmp_path) -> None:
    head = Head(IMAGE_CLASSIFICATION, ("a", "b"))
    tiny.make("resnet", head).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in weights if name.endswith("running_mean"))
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=lost):
        tiny.reopen(tmp_path, head)


def test_weights_without_a_place_are_said(tiny, tmp_path, capsys) -> None:
    tiny.make("llama").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.0.self_attn.q_proj.bias"] = torch.zeros(32)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    tiny.reopen(tmp_path, tiny.language)
    assert "have no place in this model and are left out: `model.layers.0.self_attn.q_proj.bias`" in (
        capsys.readouterr().err
    )


def test_a_bare_encoder_gets_a_head_and_a_pooler(tiny, tmp_path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    BertModel(BertConfig(vocab_size=320, **sizes), add_pooling_layer=False).save_pretrained(tmp_path)
    _, fresh = tiny.reopen(tmp_path, tiny.classes("a", "b"))
    assert {name.rsplit(".", 1)[0] for name in fresh} == {"classifier", "bert.pooler.dense"}


def test_the_same_classes_in_another_order_keep_what_the_head_knows(tiny, labelled) -> None:
    original = AutoModelForSequenceClassification.from_pretrained(labelled).eval()
    model, fresh = tiny.reopen(labelled, tiny.classes("c", "a", "b"))
    assert not fresh
    assert model.config.id2label == {0: "c", 1: "a", 2: "b"}
    with torch.no_grad():
        expected = original(input_ids=tiny.ids).logits[:, [2, 0, 1]]
        torch.testing.assert_close(model(input_ids=tiny.ids).logits, expected)


@pytest.mark.parametrize(("tokens", "fits"), [(320, True), (321, False)])
def test_a_larger_tokenizer_than_the_model_has_embeddings(tiny, tmp_path, tokens, fits) -> None:
    tiny.make("llama").save_pretrained(tmp_path)
    other = TokenizerSpec(source="./other")
    models = [
        Model(source=str(tmp_path), tokenizer=other),
        tiny.new("llama", vocab_size=320).model_copy(update={"tokenizer": other}),
    ]
    for model in models:
        if fits:
            assert load_config(model, tiny.language, tokens).vocab_size == 320
        else:
            with pytest.raises(UserError, match="has 321 tokens, and the model has embeddings for 320"):
                load_config(model, tiny.language, tokens)


@pytest.mark.parametrize(
    ("kind", "settings", "positions"),
    [
        ("bert", {}, 512),
        ("roberta", {"max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ("xlm-roberta", {"max_position_embeddings": 130, "pad_token_id": 1}, 128),
        ("gpt2", {"n_positions": 64}, 64),
        ("t5", {}, None),
        ("mamba", {}, None),
    ],
)
def test_how_long_a_sequence_may_be(kind, settings, positions) -> None:
    assert positions_of(AutoConfig.for_model(kind, **settings)) == positions


@pytest.mark.parametrize("kind", ["roberta", "mpnet", "bert", "gpt2"])
def test_a_sequence_may_really_be_so_long(kind) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = AutoConfig.for_model(kind, vocab_size=50, max_position_embeddings=20, pad_token_id=1, **sizes)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    longest = positions_of(config)
    assert longest is not None
    model(input_ids=torch.full((1, longest), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, longest + 1), 5))
