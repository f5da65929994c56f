"""A recipe to the planner's figures: without weights and, for well-known architectures, their code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from math import sqrt
from pathlib import Path

from tunesmith.metrics.compute import find_metric
from tunesmith.model.light_config import PlainConfig, plain_config
from tunesmith.model.load import load_config
from tunesmith.model.tune.select import is_head
from tunesmith.plan.cost.dimensions import dimensions_of
from tunesmith.plan.cost.evaluation import EvalRows
from tunesmith.plan.cost.lora_shapes import all_match, tuned_weights
from tunesmith.plan.cost.memory import FULL
from tunesmith.plan.cost.weights import Shapes, Weights, is_adapter, is_embedding
from tunesmith.plan.workload import Lengths, Network, Precision, RowFigures, Workload
from tunesmith.prepare.adapter_settings import merges
from tunesmith.prepare.describe import measured_metrics, steps_of
from tunesmith.prepare.inputs import PreparedInputs, prepare
from tunesmith.prepare.meta_model import Counted, count_on_meta
from tunesmith.recipe.check.metric_names import set_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of

STORED_BITS = {"4bit": 4.127, "8bit": 8.0}
SHARED_AMONG = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A recipe before it runs: its parts, and what the planner makes of them."""

    parts: PreparedInputs
    job: Workload


def estimate(recipe: Recipe, folder: Path, *, dtype: str) -> Estimate:
    """Data read and encoded, and the model's shape; no weight is loaded.

    Args:
        recipe: resolved.
        folder: of the recipe's file.
        dtype: of the arithmetic: ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        UserError: for anything that the user must change.
    """
    parts = prepare(recipe, folder, plain=True)
    if isinstance(parts.config, PlainConfig) and not all_match(dict(parts.config.outline), recipe.tune):
        # a run will refuse it, or knows the model better: its own words count
        config = load_config(recipe.model, parts.head, len(parts.processor))
        parts = replace(parts, config=config)
    if isinstance(parts.config, PlainConfig):
        return Estimate(parts=parts, job=workload_of(parts, _tuned(parts), dtype=dtype))
    return Estimate(parts=parts, job=workload_from(parts, dtype=dtype))


def workload_from(parts: PreparedInputs, *, dtype: str) -> Workload:
    """The planner's figures of parts that a run has prepared; the model is built on the meta device.

    Args:
        parts: with the configuration that transformers knows.
        dtype: of the arithmetic.
    """
    counted = count_on_meta(parts, dtype)
    weights = Weights(shapes=counted.shapes, learning=counted.learning)
    return workload_of(parts, weights, dtype=dtype, counted=counted)


def _tuned(parts: PreparedInputs) -> Weights:
    config, recipe, head = parts.config, parts.recipe, parts.head
    # The head is known by now, and with it how many classes there are.
    whole = plain_config(recipe.model, head, config.vocab_size)
    shapes = dict((whole or config).outline)
    fitted = bool(head.labels or head.has_number)
    fresh = shapes if recipe.model.new is not None else [n for n in shapes if fitted and is_head(n)]
    return tuned_weights(shapes, recipe.tune, fresh, transposed=config.model_type == "gpt2")


def workload_of(
    parts: PreparedInputs, weights: Weights, *, dtype: str, counted: Counted | None = None
) -> Workload:
    """The planner's figures of a prepared recipe.

    Args:
        parts: with encoded examples.
        weights: of the tuned model.
        dtype: of the arithmetic.
        counted: what a pass on the meta device told, where there are no formulas.
    """
    recipe, tune = parts.recipe, parts.recipe.tune
    narrow = 4 if dtype == "float32" else 2
    rank = tune.lora.rank if tune.lora is not None else 0
    dimensions = dimensions_of(parts.config.to_dict())
    lengths = lengths_of(parts)
    return Workload(
        network=Network(
            weights=weights,
            dimensions=dimensions,
            counted=counted.activations if counted and dimensions is None else 0.0,
            counted_flops=counted.flops if counted and dimensions is None else 0.0,
            causal=spec_of(recipe.task).output == "tokens",
        ),
        rows=RowFigures(
            lengths=lengths,
            packed=parts.packed,
            evaluation=eval_rows_of(parts, lengths, dimensions.vocabulary if dimensions else 0, narrow),
        ),
        precision=Precision(
            narrow=narrow,
            autocast=narrow < 4 and _casts(weights, recipe),
            frozen_bytes=_frozen_bytes(weights, recipe, narrow),
            loaded_bytes=float(narrow if tune.lora is not None else FULL),
            unpacked=recipe.model.source is not None and recipe.model.source.endswith(".gguf"),
        ),
        lora_rank=rank,
        merges=merges(recipe),
        optimizer=recipe.optimizer.name,
        mean=recipe.run.average is not None and recipe.run.average.ema is not None,
        checkpointing=recipe.batch.checkpointing,
        batch=recipe.batch.size,
        micro=recipe.batch.micro,
        steps=steps_of(parts),
    )


def lengths_of(parts: PreparedInputs) -> Lengths:
    """Tokens of the examples as they are computed."""
    examples = parts.train
    computed = [parts.task.computed_length(example) for example in examples]
    mean = sum(computed) / len(computed)
    return Lengths(
        mean=mean,
        deviation=sqrt(sum((length - mean) ** 2 for length in computed) / len(computed)),
        longest=max(computed),
        shared=parts.task.shared_length(examples),
        supervised=sum(each["count"] for each in examples) / len(examples),
    )


def _casts(weights: Weights, recipe: Recipe) -> bool:
    """Whether float32 weights meet narrower activations elsewhere than in fused adapters."""
    whole = any(not is_adapter(name) for name in weights.learning)
    lora = recipe.tune.lora
    return whole or (lora is not None and (lora.dropout > 0 or lora.dora))


def _frozen_bytes(weights: Weights, recipe: Recipe, narrow: int) -> float:
    """Mean bytes of a frozen weight; quantised are linear layers that are no heads."""
    quantize = recipe.model.quantize
    if quantize is None or weights.frozen == 0:
        return float(narrow)
    frozen: Mapping[str, int] = {n: s for n, s in weights.sizes.items() if n not in weights.learning}
    shapes: Shapes = weights.shapes
    linear = sum(
        s for n, s in frozen.items() if len(shapes[n]) == 2 and not is_head(n) and not is_embedding(n)
    )
    stored = linear * STORED_BITS[quantize] / 8 + (weights.frozen - linear) * narrow
    return stored / weights.frozen


def eval_rows_of(parts: PreparedInputs, lengths: Lengths, vocabulary: int, narrow: int) -> EvalRows | None:
    """What the memory of an evaluation depends on; ``None`` if nothing is evaluated."""
    section, sets = (
        parts.recipe.eval,
        [parts.held_out.eval, *parts.held_out.sets.values(), parts.held_out.test],
    )
    sizes = [parts.task.evaluated_length(example) for examples in sets for example in examples]
    if not sizes:
        return None
    together, logits = max(map(len, sets)), 0.0
    causal = spec_of(parts.recipe.task).output == "tokens"
    if causal:
        own = max(lengths.mean - lengths.shared, lengths.supervised, 1.0)
        # Float32 and twice where a token is supervised; unpacked rows have logits everywhere.
        logits = vocabulary * (8.0 * lengths.supervised / own + (0 if parts.packed else narrow))
    asked = (
        measured_metrics(parts.recipe, parts.task),
        *(set_metrics(parts.recipe, name) for name in parts.held_out.sets),
    )
    generates = causal and any(_needs_predictions(name) for name in chain(*asked))
    return EvalRows(
        rows=min(section.batch_size, together),
        longest=max(sizes),
        tokens=parts.task.tokens_at_once(),
        logits=logits,
        answers=min(section.generate.batch_size, together) if generates else 0,
        new_tokens=section.generate.max_new_tokens,
    )


def _needs_predictions(metric: str) -> bool:
    return find_metric(metric).needs_predictions
