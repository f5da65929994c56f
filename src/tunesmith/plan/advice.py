"""What to say when a step has run out of memory: which part was too large, and what would fit. Pure."""

from __future__ import annotations

from typing import Literal

from tunesmith.numbers import bytes_text
from tunesmith.plan.batch import Division
from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.cost.memory_parts import MemoryParts
from tunesmith.plan.recommend import Recommendation, profile_name, recommend
from tunesmith.plan.workload import Workload

_PLAIN = {
    "weights": "the weights",
    "gradients": "the gradients",
    "optimizer": "the optimizer's state",
    "activations": "the activations",
    "logits": "the logits",
    "buffers": "buffers of the libraries",
}


def advise(
    parts: MemoryParts,
    job: Workload,
    *,
    capacity: float,
    division: Division,
    sharding: Sharding,
    device: Literal["cpu", "gpu"],
) -> str:
    """Two sentences: where the memory went, and the least change that would fit.

    Args:
        parts: of one process as it is, from ``plan.job.memory_at``.
        job: the recipe, in figures.
        capacity: bytes that a process may use.
        division: of the batch.
        sharding: as it is.
        device: what computes.
    """
    name, size = max(parts.named().items(), key=lambda item: item[1])
    where = f"{bytes_text(parts.peak)} of {bytes_text(capacity)}"
    sentence = (
        f"one process needs about {where}; most of it, {bytes_text(size)}, is {_PLAIN[name]} "
        f"({division.micro} samples a pass)"
    )
    better = recommend(job, processes=sharding.processes, capacity=capacity, device=device)
    return f"{sentence}. {_way_out(better, parts, sharding, device)}"


def _way_out(
    better: Recommendation, parts: MemoryParts, sharding: Sharding, device: Literal["cpu", "gpu"]
) -> str:
    if not better.fits:
        return f"{better.why[:1].upper()}{better.why[1:]}"
    profile = profile_name(better.sharding, device)
    other = f"the profile `{profile}`" if better.sharding != sharding else ""
    changes = " ".join(f"`{change}`" for change in better.changes)
    if not other and not changes:
        # By these figures it fits as it is: something else holds memory, or a pass was unusually long.
        return (
            "By these figures it fits, so something else may hold memory on this device; if not, "
            "`batch.micro=1` and `batch.checkpointing=true` leave most room"
        )
    room = f"which needs {bytes_text(better.memory.peak)}"
    return f"What would fit: {' and '.join(each for each in (changes, other) if each)}, {room}"
