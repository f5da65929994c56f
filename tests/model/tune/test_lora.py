"""Where adapters go, and what is trained and saved beside them."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer

from tunesmith.errors import UserError
from tunesmith.model.tune.lora import add_adapters
from tunesmith.model.tune.targets import target_modules
from tunesmith.recipe.schema.tune import LayerRange, Lora
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

CLASSES = SEQUENCE_CLASSIFICATION
LANGUAGE = CAUSAL_LM


def adapted_layers(model) -> set[str]:
    layers = (name for name, module in model.named_modules() if isinstance(module, LoraLayer))
    return {name.removeprefix("base_model.model.") for name in layers}


def learning(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("kind", "classes", "task", "settings"),
    [
        ("llama", (), "CAUSAL_LM", {}),
        ("llama", (), "CAUSAL_LM", {"tie_word_embeddings": True}),
        ("llama", ("a", "b"), "SEQ_CLS", {}),
        ("gpt2", (), "CAUSAL_LM", {}),
        ("bert", ("a", "b"), "SEQ_CLS", {}),
        ("bert", (), "CAUSAL_LM", {"is_decoder": True}),
    ],
)
def test_all_linear_is_what_peft_takes_it_for(tiny, kind, classes, task, settings) -> None:
    head = tiny.classes(*classes) if classes else tiny.language
    model = tiny.make(kind, head, **settings)
    ours = target_modules(model, Lora())
    theirs = adapted_layers(get_peft_model(model, LoraConfig(target_modules="all-linear", task_type=task)))
    assert set(ours) == theirs
    assert len(ours) == len(theirs) > 7


@pytest.mark.parametrize(
    ("targets", "ends"),
    [
        (("q_proj", "v_proj"), {"self_attn.q_proj", "self_attn.v_proj"}),
        (("mlp.down_proj",), {"mlp.down_proj"}),
        ("o_proj", {"self_attn.o_proj"}),
        (r".*\.(gate|up)_proj", {"mlp.gate_proj", "mlp.up_proj"}),
    ],
)
def test_targets_are_ends_of_names_or_a_regex(tiny, targets, ends) -> None:
    model = tiny.make("llama")
    expected = {f"model.layers.{block}.{end}" for block in range(2) for end in ends}
    assert set(target_modules(model, Lora(targets=targets))) == expected
    wrapped = add_adapters(model, Lora(targets=targets), task=LANGUAGE, whole=(), fresh=())
    assert adapted_layers(wrapped) == expected


@pytest.mark.parametrize(
    ("layers", "inside"),
    [
        ({"last": 1}, ["layers.3."]),
        ({"last": 3}, ["layers.1.", "layers.2.", "layers.3."]),
        ({"first": 1}, ["layers.0."]),
        ({"match": r"layers\.[02]\."}, ["layers.0.", "layers.2."]),
    ],
)
def test_layers_narrow_the_targets(tiny, layers, inside) -> None:
    model = tiny.make("llama", num_hidden_layers=4)
    everywhere = target_modules(model, Lora(targets=("q_proj", "down_proj")))
    found = target_modules(model, Lora(targets=("q_proj", "down_proj"), layers=LayerRange(**layers)))
    assert found == [name for name in everywhere if any(part in name for part in inside)]
    assert len(found) == 2 * len(inside)


def test_more_layers_than_there_are(tiny) -> None:
    with pytest.raises(UserError, match="has 2 blocks"):
        target_modules(tiny.make("llama"), Lora(layers=LayerRange(last=3)))


@pytest.mark.parametrize(
    ("kind", "targets", "near"),
    [
        ("llama", ("q_porj",), "did you mean `q_proj`"),
        ("llama", ("layernorm",), "q_proj"),
        ("gpt2", ("q_proj",), "did you mean `c_proj`"),
        ("bert", ("querry",), "did you mean `query`"),
        ("bert", "qury", "did you mean `query`"),
    ],
)
def test_targets_of_nothing_are_refused_with_what_is_near(tiny, kind, targets, near) -> None:
    head = tiny.classes("a", "b") if kind == "bert" else tiny.language
    with pytest.raises(UserError, match="matches no layer") as caught:
        target_modules(tiny.make(kind, head), Lora(targets=targets))
    assert near in caught.value.hint
    assert "all-linear" in caught.value.hint


@pytest.mark.parametrize(("name", "near"), [("lm_haed", "`lm_head`"), ("embed_token", "`embed_tokens`")])
def test_an_unknown_module_to_save_is_refused(tiny, name, near) -> None:
    with pytest.raises(UserError, match=f"save_modules` names `{name}`") as caught:
        add_adapters(tiny.make("llama"), Lora(), task=LANGUAGE, whole=(name,), fresh=())
    assert near in caught.value.hint


def test_settings_arrive(tiny) -> None:
    lora = Lora(rank=3, alpha=5.0, dropout=0.25, dora=True, rslora=True, targets=("q_proj",))
    wrapped = add_adapters(tiny.make("llama"), lora, task=LANGUAGE, whole=("embed_tokens",), fresh=())
    config = wrapped.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 5.0, 0.25)
    assert config.use_dora
    assert config.use_rslora
    layer = next(module for module in wrapped.modules() if isinstance(module, LoraLayer))
    assert layer.scaling["default"] == pytest.approx(5 / 3**0.5)
    assert {"lora_A", "lora_B", "lora_magnitude_vector"} <= {
        p for n in learning(wrapped) for p in n.split(".")
    }
    assert any("embed_tokens.modules_to_save" in name for name in learning(wrapped))


def test_alpha_is_twice_the_rank_unless_said(tiny) -> None:
    wrapped = add_adapters(tiny.make("llama"), Lora(rank=6), task=LANGUAGE, whole=(), fresh=())
    assert wrapped.peft_config["default"].lora_alpha == 12
    assert all("lora_" in name for name in learning(wrapped))


def test_a_new_head_is_trained_whole_and_saved_whole(tiny, labelled, tmp_path) -> None:
    head = tiny.classes("x", "y")
    model, fresh = tiny.reopen(labelled, head)
    wrapped = add_adapters(model, Lora(rank=2), task=CLASSES, whole=(), fresh=fresh)
    whole = {name for name in learning(wrapped) if "lora_" not in name}
    start = "base_model.model.classifier.modules_to_save.default"
    assert whole == {f"{start}.weight", f"{start}.bias"}
    tiny.wake(wrapped)
    with torch.no_grad():
        wrapped.get_parameter(f"{start}.weight").fill_(0.25)
    wanted = wrapped.eval()(input_ids=tiny.ids).logits
    wrapped.save_pretrained(tmp_path)
    base, _ = tiny.reopen(labelled, head)
    reopened = PeftModel.from_pretrained(base, tmp_path).eval()
    assert torch.equal(reopened(input_ids=tiny.ids).logits, wanted)


def test_a_fresh_pooler_is_saved_under_its_whole_name(tiny, tmp_path) -> None:
    from transformers import BertForMaskedLM

    BertForMaskedLM(tiny.make("bert", tiny.classes("a")).config).save_pretrained(tmp_path / "base")
    model, fresh = tiny.reopen(tmp_path / "base", tiny.classes("a", "b"))
    assert "bert.pooler.dense.weight" in fresh
    wrapped = add_adapters(model, Lora(), task=CLASSES, whole=(), fresh=fresh)
    # `dense` alone would name every dense layer of the encoder
    whole = {name.split(".modules_to_save")[0] for name in learning(wrapped) if "lora_" not in name}
    assert whole == {"base_model.model.bert.pooler.dense", "base_model.model.classifier"}
    wrapped.save_pretrained(tmp_path / "adapter")
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["modules_to_save"]
    assert {"bert.pooler.dense", "classifier"} <= set(saved)


def test_convolutions_take_adapters_when_named(tiny) -> None:
    from tunesmith.model.load import Head

    model = tiny.make("resnet", Head(IMAGE_CLASSIFICATION, ("a", "b")))
    found = target_modules(model, Lora(targets=("convolution",)))
    assert found
    assert all(isinstance(model.get_submodule(name), torch.nn.Conv2d) for name in found)
    wrapped = add_adapters(
        model,
        Lora(targets=("convolution",)),
        task=IMAGE_CLASSIFICATION,
        whole=(),
        fresh=(),
    )
    assert adapted_layers(wrapped) == set(found)
