"""Whether a model's examples can be packed into one row."""

from __future__ import annotations

import inspect
from typing import Any


def can_pack(config: Any, model_class: Any) -> bool:
    """Whether the model takes positions and a mask of our own, and nothing but attention mixes tokens.

    Args:
        config: the model's configuration.
        model_class: its class; the forward method's parameters are looked at.
    """
    text = config.get_text_config()
    layers = getattr(text, "layer_types", None) or []
    window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
    parameters = inspect.signature(model_class.forward).parameters
    return (
        not config.is_encoder_decoder
        and all(kind == "full_attention" for kind in layers)
        and (bool(layers) or not window)
        and {"position_ids", "attention_mask", "logits_to_keep"} <= set(parameters)
    )


def class_of(config: Any, auto_model: str) -> Any:
    """The class that an auto class makes of a configuration, ``None`` if transformers does not know it."""
    import transformers

    return getattr(transformers, auto_model)._model_mapping.get(type(config), None)
