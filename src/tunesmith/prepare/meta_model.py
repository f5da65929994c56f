"""A model on the meta device: its weights' names and shapes, and what a pass through it would keep."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.model.inline_config import refused_by_transformers
from tunesmith.model.load import load_outline
from tunesmith.model.precision import NAMES
from tunesmith.model.tune.apply import apply_tune
from tunesmith.plan.cost.dimensions import dimensions_of
from tunesmith.plan.cost.weights import Shapes
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.tasks.task import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the meta device tells.

    Attributes:
        shapes: of all weights, adapters included, as the bare model names them.
        learning: names of those that learn.
        activations: bytes that one sample keeps for the backward pass; 0 where formulas know better.
        flops: forward operations of one sample; 0 likewise.
    """

    shapes: Shapes
    learning: frozenset[str]
    activations: float = 0.0
    flops: float = 0.0


def count_on_meta(parts: PreparedInputs, dtype: str) -> Counted:
    """Build the tuned model without its weights and, for images, send one through.

    Raises:
        UserError: if ``tune`` matches nothing, or a new model's sizes do not fit each other.
    """
    model, fresh = load_outline(parts.recipe.model, parts.head, parts.config)
    tuned = apply_tune(model, parts.recipe.tune, task=parts.head.task, fresh=fresh, dtype=NAMES[dtype])
    named = {_bare(name): parameter for name, parameter in tuned.model.named_parameters()}
    activations = flops = 0.0
    if dimensions_of(parts.config.to_dict()) is None and parts.head.task.processor == "image":
        with refused_by_transformers() if parts.recipe.model.new is not None else nullcontext():
            activations, flops = _one_image(tuned.model, parts.task.collate(parts.train[:1]))
    return Counted(
        shapes={name: tuple(parameter.shape) for name, parameter in named.items()},
        learning=frozenset(name for name, parameter in named.items() if parameter.requires_grad),
        activations=activations,
        flops=flops,
    )


def _bare(name: str) -> str:
    name = name.removeprefix("base_model.model.")
    return name.replace(".base_layer.", ".").replace(".modules_to_save.default.", ".")


def _one_image(model: Any, example: Batch) -> tuple[float, float]:
    """Bytes kept and operations done by a forward pass of one image."""
    from torch.utils.flop_counter import FlopCounterMode

    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        key = tensor.untyped_storage()._cdata
        if key not in weights:
            kept[key] = tensor
        return tensor

    model.train()
    # batch normalisation refuses a single value
    [(name, pixels)] = [(name, each) for name, each in example.inputs.items() if each.is_floating_point()]
    batch = torch.empty(2, *pixels.shape[1:], device="meta")
    keeping = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with FlopCounterMode(display=False) as counter, keeping:
        model(**{name: batch})
    return sum(each.untyped_storage().nbytes() for each in kept.values()) / 2, counter.get_total_flops() / 2
