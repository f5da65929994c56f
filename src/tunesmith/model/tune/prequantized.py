"""A base whose files hold 4 or 8 bits already: adapters learn over it as over one quantised here."""

from __future__ import annotations

from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.tune.quantize import is_quantized, require_library
from tunesmith.recipe.schema.recipe import Recipe

_KNOWN = "bitsandbytes"


def stored_bits(config: Any) -> str | None:
    """``4bit`` or ``8bit`` if the files of a model hold weights that bitsandbytes quantised.

    Raises:
        UserError: if another library quantised them, so that nothing here could learn over them.
    """
    settings = getattr(config, "quantization_config", None)
    if settings is None:
        return None
    values = settings if isinstance(settings, dict) else settings.to_dict()
    found = values.get("quant_method")
    method = str(getattr(found, "value", found) or "unknown").lower()
    if values.get("load_in_4bit") and method in (_KNOWN, "unknown"):
        return "4bit"
    if values.get("load_in_8bit") and method in (_KNOWN, "unknown"):
        return "8bit"
    raise UserError(
        f"the weights of this model are stored quantised by `{method}`, over which nothing learns here",
        "model.source",
        "name the model's original weights, and write `model.quantize: 4bit` to have them small",
    )


def refuse_stored(config: Any, recipe: Recipe) -> None:
    """Refuse a recipe that wants of stored 4 or 8 bits what they cannot: to learn, or to be quantised again.

    Raises:
        UserError: before any weights are loaded.
    """
    bits = stored_bits(config)
    if bits is None:
        return
    require_library()
    if recipe.tune.lora is None:
        raise UserError(
            f"the weights of `{recipe.model.source}` are stored in {bits[0]} bits, which cannot learn",
            "tune",
            "let adapters learn over them with `tune.lora: {rank: 8}`, or name the model's original weights",
        )
    if recipe.model.quantize is not None:
        raise UserError(
            f"the weights of `{recipe.model.source}` are stored in {bits[0]} bits already",
            "model.quantize",
            "take it away: they are used as they are",
        )


def adopt_quantized(model: Any, dtype: torch.dtype) -> None:
    """Make a model that transformers loaded quantised what ``quantize_frozen`` would have made of it.

    Its marks go: other libraries take them for orders, and a merged model that still had them would be
    quantised again by whoever opens it.
    """
    for module in model.modules():
        if is_quantized(module):
            module.compute_dtype = dtype
            module.compute_type_is_set = True
            # See ``quantize.py``: an evaluation must not repack the weights.
            module.support_avx512bf16_for_cpu = False
    for name in (
        "is_loaded_in_4bit",
        "is_loaded_in_8bit",
        "is_quantized",
        "hf_quantizer",
        "quantization_method",
    ):
        if name in vars(model):
            delattr(model, name)
    # How the packed weights were read has no way back, and none is needed: what is written is plain.
    model._weight_conversions = [
        one for one in getattr(model, "_weight_conversions", None) or () if not _unpacks(one)
    ] or None
    model.is_quantized, model.hf_quantizer = False, None
    del model.config.quantization_config


def _unpacks(conversion: Any) -> bool:
    operations = getattr(conversion, "operations", None) or ()
    return any(type(one).__module__.endswith("integrations.bitsandbytes") for one in operations)
