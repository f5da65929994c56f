"""What to tell the user when a step has run out of memory."""

from __future__ import annotations

from tunesmith.plan.advice import advise
from tunesmith.plan.job import division_of, memory_at
from tunesmith.plan.memory import Engine, Sharding
from tunesmith.train.foresee import job_from
from tunesmith.train.here import Device, look_around
from tunesmith.train.parts import Parts

ENGINES: dict[str, Engine] = {
    "single": "single",
    "ddp": "ddp",
    "zero": "deepspeed",
    "deepspeed": "deepspeed",
    "fsdp2": "fsdp2",
}


def explain_out_of_memory(
    parts: Parts, *, dtype: str, device: Device, processes: int, local: int, stage: int, engine: str
) -> str:
    """Which part of the memory was too large, and the least change that would fit.

    Args:
        parts: of the run.
        dtype: of the arithmetic, ``float32`` or ``bfloat16``.
        device: what computes.
        processes: in all.
        local: on this machine, which share its memory if it has no GPU.
        stage: ZeRO's; FSDP2 is 3.
        engine: ``single``, ``ddp``, ``zero`` or ``fsdp2``, as engines call themselves.
    """
    job = job_from(parts, dtype=dtype)
    sharding = Sharding(stage=stage, processes=processes, engine=ENGINES[engine])
    capacity = look_around().capacity(device, local)
    return advise(
        memory_at(job, sharding, device),
        job,
        capacity=float("inf") if capacity is None else capacity,
        division=division_of(job, processes),
        sharding=sharding,
        device=device,
    )
