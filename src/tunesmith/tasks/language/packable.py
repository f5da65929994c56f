"""Whether a model's examples can be packed into one row."""

from __future__ import annotations

import inspect
from typing import Any

PACKABLE = frozenset(
    """
    apertus arcee cohere ernie4_5 ernie4_5_moe gemma glm glm4 glm4_moe gpt2 gpt_bigcode gpt_neox granite
    granitemoe helium llama ministral3 mistral mixtral nanochat olmo olmo2 olmoe opt persimmon phi phi3
    qwen2 qwen2_moe qwen3 qwen3_moe seed_oss smollm3 stablelm starcoder2
    """.split()  # noqa: SIM905
)
"""Architectures whose packed losses were compared with those of separate rows. Others may take a mask of
our own without a word and not heed it, so they get padded rows."""


def can_pack(config: Any, model_class: Any) -> bool:
    """Whether the model takes positions and a mask of our own, and nothing but full attention mixes tokens.

    Args:
        config: the model's configuration.
        model_class: its class; the forward method's parameters are looked at.
    """
    parameters = inspect.signature(model_class.forward).parameters
    return heeds_masks(config) and {"position_ids", "attention_mask", "logits_to_keep"} <= set(parameters)


def heeds_masks(config: Any) -> bool:
    """Whether such a model is known to mix tokens by full attention alone, as a mask and positions say.

    Not where a window, a convolution or a state counts what lies between two tokens in a row.
    """
    text = config.get_text_config()
    layers = getattr(text, "layer_types", None) or []
    window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
    full = all(kind == "full_attention" for kind in layers)
    return config.model_type in PACKABLE and full and (bool(layers) or not window)


def class_of(config: Any, auto_model: str) -> Any:
    """The class that an auto class makes of a configuration, ``None`` if transformers does not know it."""
    import transformers

    return getattr(transformers, auto_model)._model_mapping.get(type(config), None)
