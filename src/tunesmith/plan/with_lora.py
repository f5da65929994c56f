"""A job as it would be with adapters instead of whole layers. Pure."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.plan.adapters import tuned_weights
from tunesmith.plan.job import Job
from tunesmith.plan.weights import is_adapter
from tunesmith.recipe.schema import Lora, Tune


def with_lora(job: Job, rank: int) -> Job:
    """The same model with LoRA of that rank on all linear layers, frozen weights in the arithmetic's type."""
    shapes = {name: shape for name, shape in job.weights.shapes.items() if not is_adapter(name)}
    transposed = job.dimensions is not None and job.dimensions.kind == "gpt2"
    weights = tuned_weights(shapes, Tune(lora=Lora(rank=rank)), (), transposed=transposed)
    return replace(job, weights=weights, lora_rank=rank, autocast=False, frozen_bytes=job.narrow)
