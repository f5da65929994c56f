"""What is written down of well-known architectures is what transformers makes of them, name by name."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig

from tunesmith.model.light_config import known_or_loaded, plain_config
from tunesmith.model.load import Head, load_outline
from tunesmith.model.param_shapes import param_shapes_of
from tunesmith.model.tune.apply import apply_tune
from tunesmith.plan.cost.lora_shapes import tuned_weights
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.schema.tune import LayerRange, Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}
KEYS = {**SIZES, "num_key_value_heads": 2}
CAUSAL, CLASSES = Head(CAUSAL_LM), Head(SEQUENCE_CLASSIFICATION, ("a", "b", "c"))
MODELS: dict[str, tuple[dict[str, Any], Head]] = {
    "llama": ({"model_type": "llama", **KEYS}, CAUSAL),
    "llama without kv heads": ({"model_type": "llama", **SIZES}, CAUSAL),
    "llama, tied, with biases": (
        {
            "model_type": "llama",
            **KEYS,
            "tie_word_embeddings": True,
            "attention_bias": True,
            "mlp_bias": True,
            "head_dim": 16,
        },
        CAUSAL,
    ),
    "mistral": ({"model_type": "mistral", **KEYS, "head_dim": 8, "sliding_window": None}, CAUSAL),
    "qwen2": ({"model_type": "qwen2", **KEYS, "use_sliding_window": False}, CAUSAL),
    "qwen3": ({"model_type": "qwen3", **KEYS, "head_dim": 16, "tie_word_embeddings": True}, CAUSAL),
    "gpt2": (
        {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 100},
        CAUSAL,
    ),
    "bert": ({"model_type": "bert", **SIZES, "type_vocab_size": 2}, CLASSES),
}
TUNES = {
    "all": Tune(),
    "last block": Tune(layers=LayerRange(last=1)),
    "lora": Tune(lora=Lora(rank=3)),
    "lora in the last block": Tune(lora=Lora(rank=3, layers=LayerRange(last=1))),
    "dora": Tune(lora=Lora(rank=3, dora=True)),
    "output": Tune(lora=Lora(rank=3, targets=("lm_head",))),
    "output and more, dora": Tune(lora=Lora(rank=3, targets=r"lm_head|.*\.(o_proj|c_proj)", dora=True)),
}
CHOICES = [
    (name, tune) for name in ("llama", "llama, tied, with biases", "qwen3", "gpt2", "bert") for tune in TUNES
]


def _meta(values: dict[str, Any], head: Head) -> Any:
    config = AutoConfig.for_model(**values, **head.config_options())
    return load_outline(Model(new=values), head, config)


@pytest.mark.parametrize("name", MODELS)
def test_names_and_shapes_are_those_of_transformers(name: str) -> None:
    values, head = MODELS[name]
    known = param_shapes_of({**values, **head.config_options()}, head.task)
    model, _ = _meta(values, head)
    assert known is not None
    assert known == [(key, tuple(parameter.shape)) for key, parameter in model.named_parameters()]


@pytest.mark.parametrize(
    ("name", "tune"), [each for each in CHOICES if "output" not in each[1] or each[0] != "bert"]
)
def test_what_learns_is_what_apply_tune_lets_learn(name: str, tune: str) -> None:
    values, head = MODELS[name]
    plain = plain_config(Model(new=values), head, None)
    assert plain is not None
    shapes = dict(plain.outline)
    weights = tuned_weights(shapes, TUNES[tune], shapes, transposed=name == "gpt2")
    model, fresh = _meta(values, head)
    tuned = apply_tune(model, TUNES[tune], task=head.task, fresh=fresh, dtype=torch.bfloat16).model
    real = {
        key.removeprefix("base_model.model.").replace(".base_layer.", "."): parameter
        for key, parameter in tuned.named_parameters()
        if ".original_module." not in key
    }
    real = {key.replace(".modules_to_save.default.", "."): parameter for key, parameter in real.items()}
    assert {k: tuple(p.shape) for k, p in real.items()} == dict(weights.shapes)
    assert weights.learning == {key for key, parameter in real.items() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("llama", {"quantization_config": {"bits": 4}}),
        ("llama", {"some_new_key": 1}),
        ("llama", {"hidden_size": "32"}),
        ("qwen3", {"head_dim": None}),
        ("mistral", {"model_type": "mixtral"}),
        ("bert", {"position_embedding_type": "relative_key"}),
    ],
)
def test_what_is_not_known_to_the_last_key_is_left_to_transformers(name: str, more: dict[str, Any]) -> None:
    values, head = MODELS[name]
    assert plain_config(Model(new={**values, **more}), head, None) is None


def test_an_unknown_architecture_is_loaded_by_transformers() -> None:
    values = {"model_type": "gpt_neox", **SIZES}
    assert known_or_loaded(Model(new=values), CAUSAL, 100).model_type == "gpt_neox"


def test_a_sliding_window_is_not_packed() -> None:
    values, head = MODELS["mistral"]
    config = plain_config(Model(new={**values, "sliding_window": 16}), head, None)
    assert config is not None
    assert not config.packs
