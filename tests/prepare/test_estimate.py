"""The planner's figures of a recipe: the quick way and transformers' way tell the same."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tunesmith.data.passes import split_passes
from tunesmith.model.light_config import PlainConfig
from tunesmith.model.load import load_model
from tunesmith.model.processors import train_tokenizer
from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.workload import Lengths, memory_at
from tunesmith.prepare.estimate import estimate, eval_rows_of, workload_from
from tunesmith.prepare.inputs import HeldOut, prepare
from tunesmith.recipe.load import load_recipe
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.train.recover import explain_out_of_memory

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke"


@pytest.mark.parametrize(
    "overrides", [[], ["tune.lora={rank: 4}"], ["tune.layers={last: 1}", "batch.layout=padded"]]
)
def test_both_ways_tell_the_same(overrides: list[str]) -> None:
    path = SMOKE / "causal-lm.yaml"
    recipe = load_recipe(path, overrides)
    seen = estimate(recipe, path.parent, dtype="float32")
    assert isinstance(seen.parts.config, PlainConfig)
    parts = prepare(recipe, path.parent)
    slow = workload_from(parts, dtype="float32")
    assert not isinstance(parts.config, PlainConfig)
    assert dict(seen.job.network.weights.shapes) == dict(slow.network.weights.shapes)
    assert seen.job.network.weights.learning == slow.network.weights.learning
    assert (seen.job.rows.lengths, seen.job.steps, seen.job.rows.packed) == (
        slow.rows.lengths,
        slow.steps,
        slow.rows.packed,
    )
    assert seen.job.network.dimensions == slow.network.dimensions
    assert [e["input_ids"] for e in seen.parts.train] == [e["input_ids"] for e in parts.train]
    one = Sharding(stage=0, processes=1, engine="single")
    assert memory_at(seen.job, one, "cpu") == memory_at(slow, one, "cpu")


def test_images_are_counted_as_torch_keeps_them() -> None:
    path = SMOKE / "image-classification.yaml"
    seen = estimate(load_recipe(path), path.parent, dtype="float32")
    parts = seen.parts
    model, _ = load_model(parts.recipe.model, parts.head, parts.config, torch.float32)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    model.train()
    batch = parts.task.collate(list(parts.train[:8]))["pixel_values"]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(pixel_values=batch)
    measured = sum(each.untyped_storage().nbytes() for each in kept.values())
    assert 8 * seen.job.network.counted == pytest.approx(measured, rel=0.1)
    assert seen.job.network.counted_flops > 0


def test_quantised_weights_are_counted_as_they_are_stored() -> None:
    path = SMOKE / "causal-lm.yaml"
    overrides = ["tune.lora={rank: 4}", "model.quantize=4bit", "model.dtype=bfloat16"]
    job = estimate(load_recipe(path, overrides), path.parent, dtype="bfloat16").job
    assert 0.5 < job.precision.frozen_bytes < 2
    assert job.lora_rank == 4


def test_the_advice_after_running_out_of_memory_has_figures() -> None:
    path = SMOKE / "causal-lm.yaml"
    parts = prepare(load_recipe(path), path.parent)
    text = explain_out_of_memory(
        parts, dtype="float32", device="cpu", processes=1, local=1, stage=0, engine="single"
    )
    assert "one process needs about" in text
    assert "MiB" in text


def test_logits_of_an_evaluation_are_of_as_many_rows_as_fit_beside_their_opening() -> None:
    """Behind an opening of 250 tokens, rows of 50 tokens of their own, 10 of them supervised."""
    recipe = load_recipe(SMOKE / "causal-lm.yaml")
    task = CausalLM(train_tokenizer(["a"], 300, encoder=False), max_length=400, tokens_per_pass=768)
    examples = [{"length": 300}] * 100
    parts = SimpleNamespace(packed=True, task=task, held_out=HeldOut(eval=examples), recipe=recipe)
    lengths = Lengths(mean=300.0, deviation=0.0, longest=300, shared=250, supervised=10.0)
    rows = max(map(len, split_passes([50] * 100, tokens=768, padded=False)))
    found = eval_rows_of(parts, lengths, vocabulary=1000, narrow=4)
    supervised = found.pass_tokens("cpu") * found.logits / (8 * 1000)
    assert rows * 10 <= supervised <= (rows + 1) * 10


def test_a_long_row_of_the_evaluation_is_in_the_plan() -> None:
    job = estimate(load_recipe(SMOKE / "sequence-classification.yaml"), SMOKE, dtype="float32").job
    assert job.rows.evaluation is not None
    one = Sharding(stage=0, processes=1, engine="single")
    rows = replace(job.rows, evaluation=replace(job.rows.evaluation, longest=100_000))
    longer = replace(job, rows=rows)
    assert memory_at(longer, one, "cpu").peak > 2 * memory_at(job, one, "cpu").peak
