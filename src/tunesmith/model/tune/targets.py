"""Which layers of a model get an adapter: the recipe's words as full names of layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.tune.quantize import is_quantized
from tunesmith.model.tune.target_names import WHERE, choose_targets, matches_any
from tunesmith.recipe.schema.tune import Lora


def target_modules(model: Any, lora: Lora, saved: Iterable[str] = ()) -> list[str]:
    """Full names of the layers that get an adapter.

    ``all-linear`` is every linear layer but the output layer and those in which an adapter could not
    learn; a list holds the last parts of names; any other text is a regular expression over whole names.
    Modules that are ``saved`` whole get none.

    Raises:
        UserError: if a target matches nothing, or a layer in which an adapter would have no effect.
    """
    able, unreached, whole = _able(model, lora), set(_unreached(model)), tuple(saved)
    found = next((name for name in able if name in unreached and matches_any(name, lora)), None)
    if found is not None and lora.targets != "all-linear":
        raise UserError(
            f"an adapter on `{found}` would have no effect or no gradient, or could not be merged: the layer "
            "around it reads its weights past it or only picks tokens by it, or others share its weights",
            WHERE,
            "leave it out; `all-linear` takes every linear layer in which an adapter can learn",
        )
    return choose_targets(
        [name for name in able if name not in unreached],
        {name: parameter.numel() for name, parameter in model.named_parameters()},
        lora,
        lambda name: any(f".{module}." in f".{name}." for module in whole),
        [name for name, module in model.named_modules() if isinstance(module, torch.nn.Conv2d)],
    )


def _able(model: Any, lora: Lora) -> list[str]:
    """Linear layers; convolutions where they are named, the output layer too.

    Not those that compute something else under that name: routers that choose experts, products in groups.
    """
    from transformers.pytorch_utils import Conv1D

    everything = lora.targets == "all-linear"
    output = model.get_output_embeddings() if everything else None
    kinds = (torch.nn.Linear, Conv1D, *(() if everything else (torch.nn.Conv2d,)))
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, kinds) and (output is None or module is not output) and not _own(module)
    ]


def _own(module: torch.nn.Module) -> bool:
    """Whether a kind of linear layer has a forward pass of its own; quantised ones and Falcon's are plain."""
    kind = type(module)
    changed = isinstance(module, torch.nn.Linear) and kind.forward is not torch.nn.Linear.forward
    return changed and not is_quantized(module) and kind.__name__ != "FalconLinear"


def _unreached(model: Any) -> Iterator[str]:
    """Linear layers in which an adapter would not be heeded, or not learn.

    The weights of some are read by the module around them: of torch's own attention, and of state-space
    layers (Mamba: ``A_log`` and ``D``), where only the projection at the entrance is always called; how many
    of the others are is up to the kernels of a device. Others pick the tokens that sparse attention sees
    (``indexer``), which has no gradient, or read an encoder that a language model lacks (``encoder_attn``).
    Blocks that stand in several places (Zamba) share their weights: a merged adapter would be in all of them,
    and those of the model's own beside them (``adapter_list``) are for one place each.
    """
    yield from _shared(model)
    encoder = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    idle = {"indexer"} if encoder else {"indexer", "encoder_attn"}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and idle & set(name.split(".")):
            yield name
    for outer, module in model.named_modules():
        mamba = hasattr(module, "A_log") and hasattr(module, "D")
        if mamba or isinstance(module, torch.nn.MultiheadAttention):
            for name, inner in module.named_modules():
                if isinstance(inner, torch.nn.Linear) and not (mamba and name == "in_proj"):
                    yield f"{outer}.{name}"


def _shared(model: Any) -> Iterator[str]:
    """Linear layers whose weights are another linear layer's too, and what is there to tell them apart."""
    linear = {name: one for name, one in model.named_modules() if isinstance(one, torch.nn.Linear)}
    owners = Counter(id(module.weight) for module in linear.values())
    for name, module in linear.items():
        if owners[id(module.weight)] > 1 or any(part.endswith("adapter_list") for part in name.split(".")):
            yield name
