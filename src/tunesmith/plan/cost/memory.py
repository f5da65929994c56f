"""Memory of one process, part by part, for every way of sharding. Pure.

Model states follow Rajbhandari et al. 2020, arXiv 1910.02054, section 3 and figure 1, with this project's
number types: weights that learn are float32, with float32 gradients and float32 moments; frozen weights
take the arithmetic's type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tunesmith.plan.cost.activations import Numbers, Pass, block_bytes, kept_bytes, logit_bytes
from tunesmith.plan.cost.dimensions import Dimensions
from tunesmith.plan.cost.memory_parts import MemoryParts
from tunesmith.plan.cost.weights import Weights

Engine = Literal["single", "ddp", "deepspeed", "fsdp2"]
FULL = 4
"""Bytes of what learns: a weight, its gradient, each of its two moments."""
BUCKET = 500_000_000
"""Elements that DeepSpeed gathers before it reduces them (``reduce_bucket_size``)."""
LIVE = 1_000_000_000
"""Elements that ZeRO-3 keeps gathered at most (``stage3_max_live_parameters``)."""
RUNTIME = {"cpu": 36 * 2**20, "gpu": 700 * 2**20}
"""What the first products take for themselves: thread pools and packed matrices; a GPU's context."""
SCATTERED = {"cpu": 0.15, "gpu": 0.06}
"""Share of what comes and goes with every pass that the allocator cannot use again; measured on a CPU."""
HOLES = 0.45
"""Share of a block's activations that a processor's allocator loses under recomputation: the inputs that
are kept lie between what has gone, and the next block's tensors do not fit there, though gradients of
weights do. Measured with glibc."""
CONVOLUTIONS = 40 * 2**20
"""What the kernels of convolutions need on a processor."""
LEFT = 0.3
"""Share of a pass's memory that a snapshot cannot use on a processor. Measured with glibc."""
ADAPTER_LIBRARY = 56 * 2**20
"""What the library of adapters holds once it is imported, which is after the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """How the model is trained, whatever the sharding.

    Attributes:
        numbers: types.
        optimizer: ``adamw`` or ``adafactor``.
        checkpointing: whether activations are computed again.
        accumulates: whether gradients of an earlier pass are there during a later one.
        device: what computes.
        frozen_bytes: of a frozen weight; half a byte if stored in 4 bits.
        mean: whether a running mean of what learns is kept, whole on every device.
    """

    numbers: Numbers
    optimizer: str = "adamw"
    checkpointing: bool = False
    accumulates: bool = False
    device: Literal["cpu", "gpu"] = "gpu"
    frozen_bytes: float = 2.0
    mean: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """Among how many processes what is shared.

    Attributes:
        stage: ZeRO's: 0 nothing, 1 optimizer state, 2 gradients too, 3 weights too.
        processes: that share.
        engine: what carries it out; stage 0 needs none.
        offload_optimizer: whether optimizer state rests in the host's memory.
        offload_parameters: whether weights rest there, too.
    """

    stage: int
    processes: int
    engine: Engine = "deepspeed"
    offload_optimizer: bool = False
    offload_parameters: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A model and one micro-batch of its work.

    Attributes:
        weights: names, shapes, and which learn.
        dimensions: of a transformer; None for others.
        work: one pass.
        counted: bytes of activations for other models, counted on the meta device.
        evaluation: bytes that an evaluation needs beside the weights.
        kernels: bytes of compiled products.
    """

    weights: Weights
    dimensions: Dimensions | None
    work: Pass
    counted: float = 0.0
    evaluation: float = 0.0
    kernels: float = 0.0


def memory_of(load: Load, regime: Regime, sharding: Sharding) -> MemoryParts:
    """Bytes of one process where most are in use."""
    weights, stage = load.weights, sharding.stage
    share = 1 / sharding.processes
    states = weights.trained * FULL
    stored = states + weights.frozen * regime.frozen_bytes
    moments = optimizer_bytes(weights, regime.optimizer)
    zero = sharding.engine == "deepspeed" and stage > 0
    mean = states if regime.mean else 0.0
    parts = MemoryParts(
        weights=stored * (share if stage == 3 else 1),
        gradients=states * (share if stage >= 2 else 1),
        # DeepSpeed updates a float32 copy of its own, of what this process holds.
        optimizer=(moments + (states if zero else 0)) * (share if stage >= 1 else 1) + mean,
        activations=activation_bytes(load, regime),
        logits=logit_bytes(load.dimensions, load.work) if load.dimensions else 0.0,
        buffers=_libraries(load, regime) + _casts(load, regime) + _buckets(load, regime, sharding),
        # Each process copies its share of what learns and of its moments, and writes that.
        snapshot=(states + moments + mean) * share,
        on_host=regime.device == "cpu",
    )
    return _settled(_offloaded(parts, sharding), load, regime)


def optimizer_bytes(weights: Weights, name: str) -> float:
    """Moments of all weights that learn: two of each for Adam; a row and a column for Adafactor."""
    if name != "adafactor":
        return 2.0 * FULL * weights.trained
    shapes = [weights.shapes[each] for each in weights.learning]
    return float(sum(FULL * (sum(shape[-2:]) if len(shape) > 1 else sum(shape)) for shape in shapes))


def activation_bytes(load: Load, regime: Regime) -> float:
    """What one pass keeps for its backward pass."""
    if load.dimensions is None:
        return load.counted
    return kept_bytes(
        load.dimensions,
        regime.numbers,
        load.work,
        learning_blocks=max(0, load.dimensions.blocks - load.weights.first_learning_block),
        checkpointing=regime.checkpointing,
    )


def _libraries(load: Load, regime: Regime) -> float:
    more = load.kernels
    if regime.device == "cpu":
        more += ADAPTER_LIBRARY if regime.numbers.lora else 0
        more += CONVOLUTIONS if load.counted else 0
    return float(RUNTIME[regime.device] + more)


def _casts(load: Load, regime: Regime) -> float:
    """Copies of weights in the arithmetic's type: all live until their backward pass, unless recomputed."""
    numbers, weights = regime.numbers, load.weights
    if numbers.narrow == FULL:
        return 0.0
    cast = sum(weights.sizes[name] for name in weights.learning if len(weights.shapes[name]) > 1)
    if not numbers.autocast:
        cast = min(cast, weights.adapters)
    elif regime.checkpointing:
        cast = min(cast, weights.largest_block + _head(load))
    return float(cast * numbers.narrow)


def _buckets(load: Load, regime: Regime, sharding: Sharding) -> float:
    """What an engine gathers, or collects before it sends it."""
    weights = load.weights
    if sharding.stage == 0:
        # Data parallelism sends gradients from buckets that are a second copy of them.
        return 0.0 if sharding.processes == 1 else float(FULL * weights.trained)
    whole = weights.trained * FULL + weights.frozen * regime.frozen_bytes
    per_weight = whole / max(weights.total, 1)
    if sharding.engine == "fsdp2":
        # Two blocks at a time, and what is in no block.
        blocks = 2 * weights.largest_block
        rest = max(0, weights.total - load_blocks(load) * weights.largest_block)
        return min(whole, (blocks + rest) * per_weight) + FULL * min(weights.trained, weights.largest_block)
    bucket = FULL * float(min(BUCKET, weights.trained))
    if sharding.stage < 3:
        return bucket
    return min(whole, max(LIVE, weights.largest_block) * per_weight) + bucket


def load_blocks(load: Load) -> int:
    """Number of blocks, 1 where nothing is known of them."""
    return load.dimensions.blocks if load.dimensions else 1


def _offloaded(parts: MemoryParts, sharding: Sharding) -> MemoryParts:
    """Move what rests in the host's memory there."""
    away = 0.0
    if sharding.offload_optimizer:
        # The gradients follow: the host updates.
        away += parts.optimizer + parts.gradients
        parts = replace(parts, optimizer=0.0, gradients=0.0)
    if sharding.offload_parameters:
        away += parts.weights
        parts = replace(parts, weights=0.0)
    return replace(parts, offloaded=away)


def _settled(parts: MemoryParts, load: Load, regime: Regime) -> MemoryParts:
    """What is not there at once, what the allocator scatters, and what is there between two steps.

    Gradients arise from the last layer to the first while activations go from there. In a step of one
    pass, therefore, activations and gradients are never whole together on a GPU, whose allocator gives
    to one what the other leaves. A processor's does not: what activations leave has other sizes.
    """
    head = min(parts.gradients, FULL * float(_head(load)))
    passing = parts.activations + parts.logits
    late = 0.0 if regime.accumulates or parts.on_host else parts.gradients - head
    overlap = min(late, passing)
    moving = passing + parts.gradients - overlap + _arising(load, regime)
    moving = moving * (1 + SCATTERED[regime.device]) + _holes(load, regime)
    # Evaluations and snapshots come between steps, when there is neither activation nor gradient. What a
    # pass has left is free then, but not all of it fits. Writing a snapshot in the background adds little.
    saved = parts.snapshot + LEFT * moving if parts.on_host else 0.0
    most = max(moving, load.evaluation, saved)
    buffers = parts.buffers + most - (passing + parts.gradients - overlap)
    snapshot = 0.0 if parts.on_host else parts.snapshot
    return replace(parts, buffers=buffers, overlap=overlap, snapshot=snapshot)


def _holes(load: Load, regime: Regime) -> float:
    dim = load.dimensions
    if dim is None or not regime.checkpointing or regime.device != "cpu":
        return 0.0
    learning = max(0, dim.blocks - load.weights.first_learning_block)
    lost = HOLES * learning * block_bytes(dim, regime.numbers, load.work)
    return max(0.0, lost - FULL * load.weights.trained)


def _arising(load: Load, regime: Regime) -> float:
    """Gradients on their way: those of one block's activations, and of a table that gets more than one."""
    dim = load.dimensions
    if dim is None:
        return 0.0
    block = load.work.tokens * (2 * dim.intermediate + 4 * dim.hidden) * regime.numbers.narrow
    several = not load.weights.untied or regime.accumulates
    return block + (FULL * float(_head(load)) if several else 0.0)


def _head(load: Load) -> int:
    """Parameters of the output layer that learn."""
    dim, weights = load.dimensions, load.weights
    if dim is None or not weights.learning:
        return 0
    words = dim.vocabulary * dim.hidden
    return words if any(weights.sizes[name] == words for name in weights.learning) else 0
