"""Make a model trainable as the recipe says: what learns, and in which number type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.tune.fused_lora import fuse_lora
from tunesmith.model.tune.lora import add_adapters
from tunesmith.model.tune.select import is_head, select
from tunesmith.recipe.schema.tune import Tune
from tunesmith.recipe.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Tuned:
    """A model ready to learn.

    Attributes:
        model: with ``requires_grad`` set; wrapped by peft if there are adapters.
        trained: names of the parameters that learn.
        fused: LoRA layers with the fused product.
    """

    model: Any
    trained: frozenset[str]
    fused: int


def apply_tune(
    model: Any,
    tune: Tune,
    *,
    task: TaskSpec,
    fresh: frozenset[str],
    dtype: torch.dtype,
    fuse: bool = True,
) -> Tuned:
    """Choose what learns; frozen weights take ``dtype``, trained ones keep float32.

    So does batch normalisation, whose weights must have the type of its statistics.

    Raises:
        UserError: if the choice matches nothing, or mixes adapters with whole layers.
    """
    if tune.lora is not None and tune.layers is not None:
        raise UserError(
            "`tune.layers` and `tune.lora` cannot stand together",
            "tune",
            "train adapters in some layers with `lora: {layers: {last: 2}}`, or whole modules beside the "
            "adapters with `save_modules`",
        )
    if tune.lora is not None:
        if task.output != "tokens":
            # An adapter that stays apart brings its head: classes in the data's order, numbers in its units.
            fresh |= {name for name, _ in model.named_parameters() if is_head(name)}
        model = add_adapters(model, tune.lora, task=task, whole=tune.save_modules, fresh=fresh)
    else:
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        chosen = select(sizes, tune.layers or "all", fresh)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if not parameter.is_floating_point():
                continue  # Packed weights of 4 or 8 bits are no numbers that another type could hold.
            wide = parameter.requires_grad or isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
            parameter.data = parameter.data.to(torch.float32 if wide else dtype)
    trained = frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    if not trained:
        raise UserError("`tune` leaves nothing to learn", "tune", "choose layers, or add `lora`")
    fused = fuse_lora(model) if tune.lora is not None and fuse else 0
    return Tuned(model, trained, fused)


def needs_autocast(model: Any, dtype: torch.dtype) -> bool:
    """Whether float32 weights meet ``dtype`` activations elsewhere than in fused LoRA layers.

    Those cast for themselves.
    """
    if dtype == torch.float32:
        return False
    adapters = ("lora_A", "lora_B")
    plain = [n for n, p in model.named_parameters() if p.requires_grad and not any(a in n for a in adapters)]
    from peft.tuners.lora import LoraLayer

    unfused = any(isinstance(m, LoraLayer) and "forward" not in vars(m) for m in model.modules())
    return bool(plain) or unfused
