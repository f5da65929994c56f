"""Bytes of compiled products, of loading a model and of writing it, on a processor. Pure."""

from __future__ import annotations

from tunesmith.plan.cost.memory import FULL, LEFT, RUNTIME, Load, Regime, Sharding
from tunesmith.plan.cost.memory_parts import MemoryParts
from tunesmith.plan.cost.weights import Weights, is_adapter, is_embedding
from tunesmith.world.memory import KERNELS

KERNEL = 1.25 * 2**20
"""For each product of the bound; measured 0.9 to 2 MiB: 0.6 to 0.8 of its own, as much in torch's cache above
oneDNN's, and what the allocator scatters."""


def kernel_bytes(weights: Weights, lengths: float) -> float:
    """Products in 16 bits that oneDNN compiles and keeps: some for each shape of layer, for each length.

    Args:
        weights: of the model.
        lengths: how many different numbers of tokens passes have.
    """
    return KERNEL * min(float(KERNELS), products(weights) * lengths)


def products(weights: Weights) -> int:
    """Different products of a pass and its backward pass: of a layer, of its input, and of what learns."""
    tables = {name for name in weights.shapes if is_embedding(name)} if weights.untied else set()
    shapes: dict[tuple[int, ...], int] = {}
    for name, shape in weights.shapes.items():
        if len(shape) == 2 and name not in tables:
            shapes[shape] = max(shapes.get(shape, 2), 2 + (name in weights.learning))
    return sum(shapes.values())


def loading_bytes(weights: Weights, each: float, *, unpacked: bool) -> float:
    """Every weight in the type that it is loaded in.

    The pages of the file itself are the system's, which takes them back, and are not counted.

    Args:
        weights: of the tuned model.
        each: bytes of a weight.
        unpacked: whether the file holds fewer bits: one weight at a time is there in float32, and once more.
    """
    own = [size for name, size in weights.sizes.items() if not is_adapter(name)]
    return each * sum(own) + (2.0 * FULL * max(own, default=0) if unpacked else 0.0)


def export_bytes(
    parts: MemoryParts, load: Load, regime: Regime, sharding: Sharding, *, merges: bool
) -> float:
    """What is there while the finished model is made and written.

    Args:
        parts: of a step.
        load: its model.
        regime: how it is trained.
        sharding: of it.
        merges: whether adapters become part of the weights, one layer after the other in float32.
    """
    weights = load.weights
    whole = weights.trained * FULL + weights.frozen * regime.frozen_bytes
    held = parts.weights + parts.optimizer + parts.offloaded + RUNTIME[regime.device] + load.kernels
    held += LEFT * (parts.activations + parts.logits + parts.gradients)
    if sharding.stage == 3:
        held += whole  # gathered, beside the shares
    elif sharding.stage > 0:
        held += weights.total * regime.numbers.narrow  # opened again, while the engine holds its own
    if merges and regime.frozen_bytes < regime.numbers.narrow:
        held += FULL * weights.total - whole  # stored in 4 or 8 bits: unpacked for it as a whole
    return held + (2.0 * FULL * _largest_adapted(weights) if merges else 0.0)


def _largest_adapted(weights: Weights) -> int:
    """Elements of the largest weight that an adapter is added to."""
    adapted = {name.partition(".lora_")[0] for name in weights.sizes if is_adapter(name)}
    own = {name: size for name, size in weights.sizes.items() if not is_adapter(name)}
    return max((size for name, size in own.items() if name.rsplit(".", 1)[0] in adapted), default=0)
