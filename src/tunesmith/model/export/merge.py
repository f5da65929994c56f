"""Adapters made part of the weights, so that the merged model computes what the adapted one did."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from tunesmith.model.tune.quantize import has_quantized, plain_again
from tunesmith.world.memory import give_back_memory

UNLOADS = "unload_and_optionally_merge_module"
"""A method of layers whose parts are merged in an order that they alone know."""


def merged(model: Any, dtype: torch.dtype) -> Any:
    """A peft model as a plain one; the model given is of no use afterwards.

    Sums are taken in float32, layer after layer, so that a model in 16 bits is never there in 32 as a whole.

    Args:
        model: with adapters.
        dtype: of the layers that had adapters; others stay as they are.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = plain_again(model) if has_quantized(model) else model
    _part_adapted(model)
    adapted = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    apart = {id(part) for one in adapted if hasattr(one, UNLOADS) for part in one.modules()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All adapters are already merged")
        for layer in adapted:
            layer.float()
            if id(layer) not in apart:
                layer.merge()
                layer.to(dtype)
            give_back_memory()
        plain = model.merge_and_unload()
    _settle_tying(plain)
    return plain


def _part_adapted(model: Any) -> None:
    """Give each adapted layer weights of its own: merging into shared ones would change the others too.

    An output layer that is tied to the embedding shares its weights with it, and its adapter is of the output
    alone.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    for module in model.modules():
        if isinstance(module, BaseTunerLayer) and hasattr(base := module.get_base_layer(), "weight"):
            shared: Any = base.weight
            if owners.get(id(shared), 0) > 1:
                base.weight = torch.nn.Parameter(shared.detach().clone(), requires_grad=False)


def _settle_tying(model: Any) -> None:
    """Say in the configuration that the output layer is no longer the embedding, where that is so.

    Else whoever opens the model would tie them again, and lose what one of them has learnt.
    """
    try:
        read, written = model.get_input_embeddings(), model.get_output_embeddings()
    except (NotImplementedError, AttributeError):
        return
    if read is None or written is None or not (hasattr(read, "weight") and hasattr(written, "weight")):
        return
    if read.weight.data_ptr() == written.weight.data_ptr():
        return
    for config in (model.config, model.config.get_text_config()):
        if getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False
    if hasattr(model, "all_tied_weights_keys"):
        model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=True)
