"""What a planner needs to know of a recipe: its model, its numbers and its data, as plain figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

from tunesmith.errors import UserError
from tunesmith.plan.batch import Division, divide
from tunesmith.plan.cost.activations import Numbers, Pass
from tunesmith.plan.cost.dimensions import Dimensions
from tunesmith.plan.cost.evaluation import EvalRows, evaluation_bytes
from tunesmith.plan.cost.flops import Cost, token_flops
from tunesmith.plan.cost.memory import FULL, Load, Regime, Sharding, memory_of
from tunesmith.plan.cost.memory_parts import MemoryParts
from tunesmith.plan.cost.phases import export_bytes, kernel_bytes, loading_bytes
from tunesmith.plan.cost.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of the examples as they are computed: what follows the last supervised token is cut.

    Attributes:
        mean: of all.
        deviation: from the mean.
        longest: of all.
        shared: that all examples open with, which a packed pass computes once.
        supervised: mean number that carry loss.
    """

    mean: float
    deviation: float
    longest: int
    shared: int
    supervised: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The model, and which of it learns.

    Attributes:
        weights: names, shapes, and which learn.
        dimensions: of a transformer; None for others.
        counted: bytes of activations of one sample, where there are no dimensions.
        counted_flops: forward operations of one sample, where there are no dimensions.
        causal: whether a token attends to earlier ones only.
    """

    weights: Weights
    dimensions: Dimensions | None
    counted: float = 0.0
    counted_flops: float = 0.0
    causal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFigures:
    """What passes are made of.

    Attributes:
        lengths: of the examples.
        packed: whether examples lie in one row.
        evaluation: the rows of an evaluation, if there are any.
    """

    lengths: Lengths
    packed: bool
    evaluation: EvalRows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """What is computed and kept in how many bytes.

    Attributes:
        narrow: bytes of a number of the arithmetic.
        autocast: whether float32 weights are cast for each product.
        frozen_bytes: of a frozen weight.
        loaded_bytes: of every weight, as it is loaded.
        unpacked: whether the file that is loaded holds weights of fewer bits.
    """

    narrow: int
    autocast: bool
    frozen_bytes: float
    loaded_bytes: float = 0.0
    unpacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One recipe.

    Attributes:
        network: the model.
        rows: that it learns from and is evaluated on.
        precision: of numbers.
        lora_rank: of the adapters, 0 without.
        merges: whether they become part of the weights at the end.
        optimizer: its name.
        mean: whether a running mean of the weights is kept.
        checkpointing: whether activations are computed again.
        batch: samples of a step.
        micro: samples of a pass, or ``auto``.
        steps: at most; None if only time bounds the run.
    """

    network: Network
    rows: RowFigures
    precision: Precision
    lora_rank: int
    merges: bool = False
    optimizer: str
    mean: bool = False
    checkpointing: bool
    batch: int
    micro: int | Literal["auto"]
    steps: int | None

    @property
    def lora(self) -> bool:
        """Whether adapters learn."""
        return self.lora_rank > 0


def batch_division(job: Workload, processes: int) -> Division:
    """The global batch, divided among processes.

    Raises:
        UserError: if it cannot be divided evenly.
    """
    return divide(job.batch, job.micro, processes, typical_tokens=job.rows.lengths.mean)


def can_divide(job: Workload, processes: int) -> bool:
    """Whether the batch can be shared among so many processes."""
    try:
        batch_division(job, processes)
    except UserError:
        return False
    return True


def pass_of(job: Workload, micro: int, *, largest: bool) -> Pass:
    """One pass of so many samples: a typical one, or the largest that a run is likely to meet.

    The largest is two standard deviations above the mean of a sum of ``micro`` lengths, which one pass in
    forty exceeds, and never more than that many of the longest.
    """
    lengths = job.rows.lengths
    shared = lengths.shared if job.rows.packed and micro > 1 else 0
    typical = micro * (lengths.mean - shared) + shared
    most = micro * (lengths.longest - shared) + shared
    tokens = min(most, typical + 2 * lengths.deviation * sqrt(micro)) if largest else typical
    if micro == 1 and largest:
        tokens = most
    if job.rows.packed:
        return Pass(tokens=tokens, rows=1, supervised=micro * lengths.supervised)
    width = min(lengths.longest, lengths.mean + (3 if largest else 1) * lengths.deviation)
    padded = micro * width
    # Without packing a causal model computes logits everywhere; a classifier has one row of them a sample.
    return Pass(tokens=padded, rows=micro, supervised=padded if job.network.causal else 0.0)


def numbers_of(job: Workload, device: Literal["cpu", "gpu"]) -> Numbers:
    """What is computed in which type."""
    return Numbers(
        narrow=job.precision.narrow,
        autocast=job.precision.autocast,
        lora=job.lora,
        rank=job.lora_rank,
        fused_attention=device == "gpu",
    )


def regime_of(job: Workload, division: Division, device: Literal["cpu", "gpu"]) -> Regime:
    """Number types, and what is there at once."""
    return Regime(
        numbers=numbers_of(job, device),
        optimizer=job.optimizer,
        checkpointing=job.checkpointing,
        accumulates=division.accumulation > 1,
        device=device,
        frozen_bytes=job.precision.frozen_bytes,
        mean=job.mean,
    )


def memory_at(job: Workload, sharding: Sharding, device: Literal["cpu", "gpu"]) -> MemoryParts:
    """Memory of one process, for the largest pass that is likely.

    Raises:
        UserError: if the batch cannot be divided among the processes.
    """
    division = batch_division(job, sharding.processes)
    evaluation = 0.0
    if job.rows.evaluation is not None:
        numbers = numbers_of(job, device)
        evaluation = evaluation_bytes(
            job.rows.evaluation, job.network.dimensions, numbers, device, image=job.network.counted
        )
    load = Load(
        weights=job.network.weights,
        dimensions=job.network.dimensions,
        work=pass_of(job, division.micro, largest=True),
        counted=job.network.counted * division.micro,
        evaluation=evaluation,
        kernels=_kernels(job, division) if device == "cpu" else 0.0,
    )
    regime = regime_of(job, division, device)
    parts = memory_of(load, regime, sharding)
    if device == "gpu":
        return parts
    precision, merges = job.precision, job.lora and job.merges
    return replace(
        parts,
        loading=loading_bytes(job.network.weights, precision.loaded_bytes, unpacked=precision.unpacked),
        export=export_bytes(parts, load, regime, sharding, merges=merges),
    )


def _kernels(job: Workload, division: Division) -> float:
    """Bytes of compiled products: in 16 bits one is kept for each shape, and passes differ in length."""
    if job.precision.narrow == FULL or job.network.dimensions is None:
        return 0.0
    lengths = job.rows.lengths
    spread = 4 * lengths.deviation * (sqrt(division.micro) if job.rows.packed else 1.0)
    different = 1 + min(spread, float(lengths.longest * division.micro))
    passes = job.steps * division.accumulation if job.steps is not None else different
    return kernel_bytes(job.network.weights, min(different, passes))


def stages(
    job: Workload, processes: int, device: Literal["cpu", "gpu"], *, zero: bool = True
) -> dict[int, MemoryParts]:
    """Memory at each of ZeRO's stages; ``zero`` tells DeepSpeed's from FSDP2, which only has the last."""
    engine: Literal["deepspeed", "fsdp2"] = "deepspeed" if zero else "fsdp2"
    return {
        stage: memory_at(
            job, Sharding(stage=stage, processes=processes, engine=engine if stage else "ddp"), device
        )
        for stage in range(4)
    }


def cost_of(job: Workload) -> Cost:
    """Floating-point operations of one token (of one sample, for images)."""
    attended = job.rows.lengths.mean / 2 if job.network.causal else job.rows.lengths.mean
    if job.network.dimensions is None and job.network.counted_flops:
        learns = job.network.weights.trained / max(job.network.weights.total, 1)
        needed = job.network.counted_flops * (2 + learns)
        again = job.network.counted_flops if job.checkpointing else 0.0
        return Cost(needed=needed, done=needed + again, forward=job.network.counted_flops, attention=0.0)
    supervised = (
        job.rows.lengths.supervised / max(job.rows.lengths.mean, 1)
        if job.rows.packed
        else float(job.network.causal)
    )
    return token_flops(
        job.network.weights,
        job.network.dimensions,
        attended=attended,
        supervised=supervised,
        checkpointing=job.checkpointing,
    )
