"""The planner's table for models of published dimensions on 1 to 512 devices.

    .venv/bin/python benchmarks/simulated.py

The same as `tunesmith plan RECIPE --table --cluster 8xH100` for recipes without data: 1,024 packed examples
of 400 tokens a step, 100 of them supervised.
"""

from __future__ import annotations

from typing import Any

from tunesmith.model.param_shapes import param_shapes_of
from tunesmith.plan.cluster import cluster_table
from tunesmith.plan.cost.dimensions import dimensions_of
from tunesmith.plan.cost.lora_shapes import tuned_weights
from tunesmith.plan.devices import parse_cluster
from tunesmith.plan.render import table_lines
from tunesmith.plan.workload import Lengths, Network, Precision, RowFigures, Workload
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM

EIGHT: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
SEVENTY = EIGHT | {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
CASES = (
    ("Llama-3-8B, LoRA of rank 16, 8 x H100 a machine", EIGHT, 16, False, 8, "8xH100"),
    ("Llama-3-8B, whole, recomputed, 8 x H100 a machine", EIGHT, 0, True, 8, "8xH100"),
    ("Llama-3-70B, whole, recomputed, 8 x H100 a machine", SEVENTY, 0, True, 8, "8xH100"),
    ("Llama-3-8B, LoRA of rank 16, 4 x A100-40GB a machine", EIGHT, 16, False, 2, "4xA100-40GB"),
)


def job_of(values: dict[str, Any], rank: int, again: bool, micro: int) -> Workload:
    """A job on such a model; made-up data."""
    outline, dimensions = param_shapes_of(values, CAUSAL_LM), dimensions_of(values)
    assert outline is not None
    tune = Tune(lora=Lora(rank=rank)) if rank else Tune()
    return Workload(
        network=Network(weights=tuned_weights(dict(outline), tune, ()), dimensions=dimensions, causal=True),
        rows=RowFigures(
            lengths=Lengths(mean=400.0, deviation=0.0, longest=400, shared=0, supervised=100.0), packed=True
        ),
        precision=Precision(narrow=2, autocast=not rank, frozen_bytes=2.0),
        lora_rank=rank,
        optimizer="adamw",
        checkpointing=again,
        batch=1024,
        micro=micro,
        steps=1000,
    )


def main() -> None:
    """Print the tables."""
    for title, values, rank, again, micro, cluster in CASES:
        job = job_of(values, rank, again, micro)
        print(f"{title}\n")
        print("\n".join(table_lines(cluster_table(job, parse_cluster(cluster)), job.steps, job.batch)) + "\n")


if __name__ == "__main__":
    main()
