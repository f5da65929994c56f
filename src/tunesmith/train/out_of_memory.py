"""What to tell the user when a step has run out of memory."""

from __future__ import annotations

from tunesmith.plan.advice import advise
from tunesmith.plan.job import division_of, memory_at
from tunesmith.plan.memory import Engine, Sharding
from tunesmith.train.foresee import job_from
from tunesmith.train.here import Device, look_around
from tunesmith.train.parts import Parts


def explain_out_of_memory(
    parts: Parts, *, dtype: str, device: Device, processes: int, local: int, stage: int, engine: Engine
) -> str:
    """Which part of the memory was too large, and the least change that would fit.

    Args:
        parts: of the run.
        dtype: of the arithmetic, ``float32`` or ``bfloat16``.
        device: what computes.
        processes: in all.
        local: on this machine, which share its memory if it has no GPU.
        stage: ZeRO's; FSDP2 is 3.
        engine: ``single``, ``ddp``, ``deepspeed`` or ``fsdp2``.
    """
    job = job_from(parts, dtype=dtype)
    sharding = Sharding(stage=stage, processes=processes, engine=engine)
    capacity = look_around().capacity(device, local)
    return advise(
        memory_at(job, sharding, device),
        job,
        capacity=float("inf") if capacity is None else capacity,
        division=division_of(job, processes),
        sharding=sharding,
        device=device,
    )
