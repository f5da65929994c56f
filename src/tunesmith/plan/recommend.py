"""Which way of sharding a job should take on so many devices, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tunesmith.numbers import bytes_text
from tunesmith.plan.cost.lora_shapes import tuned_weights
from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.cost.memory_parts import MemoryParts
from tunesmith.plan.cost.weights import is_adapter
from tunesmith.plan.workload import Workload, batch_division, memory_at
from tunesmith.recipe.schema.tune import Lora, Tune

USABLE = 0.92
"""Share of a device's memory that is planned with; drivers and other libraries want some, too."""
LORA_RANK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do.

    Attributes:
        sharding: the way to shard.
        memory: of one process then.
        fits: whether that is within the device's memory.
        why: one sentence.
        changes: of the recipe that it takes, as overrides; empty if it fits as it is.
    """

    sharding: Sharding
    memory: MemoryParts
    fits: bool
    why: str
    changes: tuple[str, ...] = ()

    @property
    def profile(self) -> str:
        """Name of the shipped profile for one machine's devices."""
        return profile_name(self.sharding, "cpu" if self.memory.on_host else "gpu")


def recommend(
    job: Workload,
    *,
    processes: int,
    capacity: float,
    device: Literal["cpu", "gpu"] = "gpu",
    host: float | None = None,
    zero: bool = True,
) -> Recommendation:
    """The cheapest way that fits: nothing sharded, then ZeRO-1, 2, 3; else the least change; else offload.

    Nothing sharded sends least and computes as fast as any, so a higher stage is only worth its traffic
    where memory asks for it. With adapters there is little to share but the frozen weights, which only
    stage 3 shares.

    Args:
        job: the recipe, in figures.
        processes: one for each device.
        capacity: of one device's memory, in bytes.
        device: what computes.
        host: memory of a machine for each of its devices, for offload; None if it is not known.
        zero: whether DeepSpeed is there; FSDP2, which shares everything, is the alternative.

    Raises:
        UserError: if the batch cannot be divided among the processes.
    """
    batch_division(job, processes)
    usable = USABLE * capacity
    whole, away = _ways(processes, device, zero=zero)
    milder = [((), job), *_milder(job, processes)]
    smaller = list(_smaller_job(job))
    for ways, settings in ((whole, milder), (away, milder), ([*whole, *away], smaller)):
        for changes, other in settings:
            for way in ways:
                memory = memory_at(other, way, device)
                if memory.peak <= usable and (host is None or memory.host <= host):
                    why = _reason(job, way, memory, changes, capacity, device)
                    return Recommendation(sharding=way, memory=memory, fits=True, why=why, changes=changes)
    tried = [(way, memory_at(job, way, device)) for way in (*whole, *away)]
    bearable = [each for each in tried if host is None or each[1].host <= host]
    way, memory = min(bearable or tried, key=lambda each: each[1].peak)
    short = f"{bytes_text(memory.peak)} of {bytes_text(capacity)}"
    why = f"nothing fits: {short} even so; take more or larger devices, or a smaller model"
    return Recommendation(sharding=way, memory=memory, fits=False, why=why)


def profile_name(sharding: Sharding, device: Literal["cpu", "gpu"], machines: int = 1) -> str:
    """The shipped profile that shards so."""
    if sharding.processes == 1:
        return device
    stage = sharding.stage
    if device == "cpu":
        kept = {0: "cpu_2proc", 1: "cpu_zero2", 2: "cpu_zero2", 3: "cpu_zero3"}
        return "cpu_fsdp2" if sharding.engine == "fsdp2" else kept[stage]
    if sharding.engine == "fsdp2":
        return "node_fsdp2"
    if sharding.offload_parameters:
        return "node_zero3_offload"
    if machines > 1 and stage == 3:
        return "nodes_zero3"
    return f"node_zero{stage}" if stage else "node"


def _ways(
    processes: int, device: Literal["cpu", "gpu"], *, zero: bool
) -> tuple[list[Sharding], list[Sharding]]:
    """Ways that keep everything on the devices, the cheapest first; and those that use the host's memory."""
    if processes == 1:
        return [Sharding(stage=0, processes=1, engine="single")], []
    plain = Sharding(stage=0, processes=processes, engine="ddp")
    if not zero:
        return [plain, Sharding(stage=3, processes=processes, engine="fsdp2")], []
    whole = [plain, *(Sharding(stage=stage, processes=processes) for stage in (1, 2, 3))]
    away = Sharding(stage=3, processes=processes, offload_optimizer=True, offload_parameters=True)
    return whole, [away] if device == "gpu" else []


def _milder(job: Workload, processes: int) -> Iterator[tuple[tuple[str, ...], Workload]]:
    """Changes of a recipe that only cost time: smaller passes first, then recomputation, then both."""
    micro = batch_division(job, processes).micro
    smaller = [size for size in range(micro - 1, 0, -1) if (job.batch // processes) % size == 0]
    for size in smaller:
        yield (f"batch.micro={size}",), replace(job, micro=size)
    again = "batch.checkpointing=true"
    if not job.checkpointing:
        yield (again,), replace(job, checkpointing=True)
        for size in smaller:
            yield (f"batch.micro={size}", again), replace(job, micro=size, checkpointing=True)


def _smaller_job(job: Workload) -> Iterator[tuple[tuple[str, ...], Workload]]:
    """Adapters instead of whole layers, which is another thing to learn."""
    if not job.lora and job.network.dimensions is not None:
        changes = (f"tune.lora={{rank: {LORA_RANK}}}", "batch.micro=1", "batch.checkpointing=true")
        yield changes, replace(with_lora(job, LORA_RANK), micro=1, checkpointing=True)


def _reason(
    job: Workload,
    way: Sharding,
    memory: MemoryParts,
    changes: tuple[str, ...],
    capacity: float,
    device: Literal["cpu", "gpu"],
) -> str:
    room = f"{bytes_text(memory.peak)} of {bytes_text(capacity)}"
    if changes:
        return f"as it is, it does not fit; with {' and '.join(changes)} it does ({room})"
    if way.processes == 1:
        return f"one process: {room}"
    if way.stage == 0:
        extra = "; with adapters, sharding would save next to nothing" if job.lora else ""
        return f"everything fits on each device ({room}), and nothing sends less{extra}"
    stage = 3 if way.offload_parameters else way.stage - 1 if way.engine == "deepspeed" else 0
    less = Sharding(stage=stage, processes=way.processes, engine="deepspeed" if stage else "ddp")
    before = bytes_text(memory_at(job, less, device).peak)
    if way.offload_parameters:
        return f"even ZeRO-3 needs {before}; what rests in the host's memory leaves {room}"
    lack = "whole weights do not fit" if way.stage == 3 else "sharing less does not fit"
    return f"{lack} ({before}); this needs {room}"


def with_lora(job: Workload, rank: int) -> Workload:
    """The same model with LoRA of that rank on all linear layers, frozen weights in the arithmetic's type."""
    shapes = {name: shape for name, shape in job.network.weights.shapes.items() if not is_adapter(name)}
    transposed = job.network.dimensions is not None and job.network.dimensions.kind == "gpt2"
    weights = tuned_weights(shapes, Tune(lora=Lora(rank=rank)), (), transposed=transposed)
    narrow = float(job.precision.narrow)
    return replace(
        job,
        network=replace(job.network, weights=weights),
        precision=replace(job.precision, autocast=False, frozen_bytes=narrow, loaded_bytes=narrow),
        lora_rank=rank,
    )
