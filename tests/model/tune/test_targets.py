"""Adapters stand where the recipe says, each target means something, and each adapter has an effect."""

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

from tunesmith.errors import UserError
from tunesmith.model.load import Head, load_config, load_model
from tunesmith.model.tune.lora import _refuse_elsewhere, add_adapters
from tunesmith.model.tune.targets import target_modules
from tunesmith.plan.cost.lora_shapes import tuned_weights
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.schema.tune import LayerRange, Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

LANGUAGE = CAUSAL_LM
IMAGES = Head(IMAGE_CLASSIFICATION, ("a", "b"))
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
EXPERTS = {
    "model_type": "glm4_moe",
    **SIZES,
    "num_hidden_layers": 3,
    "moe_intermediate_size": 24,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "pad_token_id": 0,
}
MAMBA = {"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}


def made(settings):
    torch.manual_seed(5)
    recipe, head = Model(new=settings), Head(LANGUAGE)
    return load_model(recipe, head, load_config(recipe, head, 320), torch.float32)[0].eval()


def adapted(model) -> set[str]:
    layers = (name for name, module in model.named_modules() if isinstance(module, LoraLayer))
    return {name.removeprefix("base_model.model.") for name in layers}


def with_adapters(model, lora):
    return add_adapters(model, lora, task=LANGUAGE, whole=(), fresh=())


@pytest.mark.parametrize(
    ("kind", "targets", "wrong"),
    [
        ("llama", ("q_proj", "v_porj"), "v_porj"),
        ("llama", ("q_proj", "input_layernorm"), "input_layernorm"),
        ("llama", ("all-linear", "q_proj"), "all-linear"),
        ("gpt2", ("c_attn", "wte"), "wte"),
        ("bert", ("query", "valeu", "key"), "valeu"),
        ("resnet", ("convolution", "convolutoin"), "convolutoin"),
    ],
)
def test_each_name_of_a_list_must_match(tiny, kind, targets, wrong) -> None:
    head = IMAGES if kind == "resnet" else tiny.classes("a") if kind == "bert" else tiny.language
    with pytest.raises(UserError, match=f"targets: {wrong}` matches no layer"):
        target_modules(tiny.make(kind, head), Lora(targets=targets))


def test_what_could_be_named_is_told(tiny) -> None:
    with pytest.raises(UserError, match="all-linear` matches no layer") as caught:
        target_modules(tiny.make("resnet", IMAGES), Lora())
    assert caught.value.hint.startswith("the layers that can have an adapter end in: convolution")


def test_a_name_must_match_within_the_layers(tiny) -> None:
    model, lora = (
        tiny.make("llama"),
        Lora(targets=("q_proj", "down_proj"), layers=LayerRange(match="self_attn")),
    )
    with pytest.raises(UserError, match=r"down_proj` matches no layer of this model within `layers: \{match"):
        target_modules(model, lora)


def test_a_plan_refuses_what_a_run_refuses(tiny) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in tiny.make("llama").named_parameters()}
    assert tuned_weights(shapes, Tune(lora=Lora(targets=("q_proj",))), ()).adapters
    with pytest.raises(UserError, match="v_porj` matches no layer"):
        tuned_weights(shapes, Tune(lora=Lora(targets=("q_proj", "v_porj"))), ())


@pytest.mark.parametrize(
    ("lora", "ends"),
    [
        (Lora(layers=LayerRange(last=1)), "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"),
        (Lora(targets=("gate_proj",), layers=LayerRange(last=1)), "gate_proj"),
        (Lora(targets=r".*shared_experts\.up_proj", layers=LayerRange(last=1), rslora=True), "up_proj"),
    ],
)
def test_beside_experts_adapters_stand_where_the_recipe_says(lora, ends, tiny, tmp_path) -> None:
    """Opened again by plain peft and merged too: peft takes shared experts for the experts themselves."""
    model = made(EXPERTS)
    model.save_pretrained(tmp_path / "base")
    chosen = set(target_modules(model, lora))
    assert {name.rsplit(".", 1)[-1] for name in chosen} == set(ends.split())
    wrapped = with_adapters(model, lora)
    assert adapted(wrapped) == chosen
    assert all(".layers.2." in f".{name}" for name in chosen)
    tiny.wake(wrapped)
    wanted = wrapped.eval()(input_ids=tiny.ids).logits
    wrapped.save_pretrained(tmp_path / "adapter")
    base, _ = tiny.reopen(tmp_path / "base", tiny.language)
    assert not torch.allclose(base(input_ids=tiny.ids).logits, wanted, atol=1e-3)
    reopened = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    torch.testing.assert_close(reopened(input_ids=tiny.ids).logits, wanted)
    merged = wrapped.merge_and_unload()(input_ids=tiny.ids).logits
    torch.testing.assert_close(merged, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lora", [Lora(dropout=0.1), Lora(dora=True)])
def test_what_peft_refuses_is_a_message(lora) -> None:
    with pytest.raises(UserError, match="peft cannot put these adapters on a `glm4_moe` model"):
        with_adapters(made(EXPERTS), lora)


def test_adapters_elsewhere_than_chosen_are_refused(tiny) -> None:
    wrapped = with_adapters(tiny.make("llama"), Lora(targets=("q_proj",)))
    _refuse_elsewhere(wrapped, sorted(adapted(wrapped)))
    with pytest.raises(UserError, match=r"on 2 layers where 1 were chosen: but on `model.layers.1"):
        _refuse_elsewhere(wrapped, ["model.layers.0.self_attn.q_proj"])


def test_in_a_state_space_layer_only_its_entrance_is_called(tiny) -> None:
    wrapped = with_adapters(made(MAMBA), Lora())
    assert adapted(wrapped) == {f"backbone.layers.{block}.mixer.in_proj" for block in range(2)}
    wrapped(input_ids=tiny.ids).logits.sum().backward()
    assert all(weight.grad is not None for weight in wrapped.parameters() if weight.requires_grad)


@pytest.mark.parametrize("targets", [("in_proj", "x_proj"), ("dt_proj",), "out_proj", r".*\.mixer\..*_proj"])
def test_an_adapter_without_an_effect_is_refused(targets) -> None:
    with pytest.raises(UserError, match="would have no effect"):
        target_modules(made(MAMBA), Lora(targets=targets))


def test_so_is_one_in_attention_that_reads_weights() -> None:
    class Reads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.dense = torch.nn.MultiheadAttention(8, 2), torch.nn.Linear(8, 8)

        def get_output_embeddings(self) -> None:
            return None

    assert target_modules(Reads(), Lora()) == ["dense"]
    with pytest.raises(UserError, match=r"`attention.out_proj` would have no effect"):
        target_modules(Reads(), Lora(targets=("out_proj",)))
