"""Jobs for the planner's tests: real shapes, made-up data."""

from dataclasses import fields
from typing import Any

from tunesmith.model.param_shapes import param_shapes_of
from tunesmith.plan.cost.dimensions import dimensions_of
from tunesmith.plan.cost.lora_shapes import tuned_weights
from tunesmith.plan.workload import Lengths, Network, Precision, RowFigures, Workload
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM

LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
LLAMA_70B = {
    **LLAMA_8B,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
TINY = {
    **LLAMA_8B,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
}


def job(values: dict[str, Any] = TINY, *, rank: int = 0, narrow: int = 2, **changes: Any) -> Workload:
    """A job on a decoder; ``rank`` above 0 trains adapters."""
    outline = param_shapes_of(values, CAUSAL_LM)
    assert outline is not None
    tune = Tune(lora=Lora(rank=rank)) if rank else Tune()
    settings: dict[str, Any] = {
        "weights": tuned_weights(dict(outline), tune, ()),
        "dimensions": dimensions_of(values),
        "causal": True,
        "packed": True,
        "lengths": Lengths(mean=400.0, deviation=100.0, longest=900, shared=20, supervised=100.0),
        "narrow": narrow,
        "autocast": narrow < 4 and not rank,
        "frozen_bytes": float(narrow),
        "lora_rank": rank,
        "optimizer": "adamw",
        "checkpointing": False,
        "batch": 512,
        "micro": "auto",
        "steps": 1000,
    }
    settings |= changes
    groups = {"network": Network, "rows": RowFigures, "precision": Precision}
    grouped = {
        name: kind(**{each.name: settings.pop(each.name) for each in fields(kind) if each.name in settings})
        for name, kind in groups.items()
    }
    return Workload(**grouped, **settings)
