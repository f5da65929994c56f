"""Memory of a process: the papers' tables, and what must hold of any job."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import LLAMA_8B, TINY, job

from tunesmith.plan.cost.activations import Numbers, Pass
from tunesmith.plan.cost.memory import FULL, RUNTIME, Load, Regime, Sharding, memory_of, optimizer_bytes
from tunesmith.plan.cost.weights import Weights
from tunesmith.plan.workload import memory_at, stages

SHAPES = {
    "model.embed_tokens.weight": (1000, 64),
    "model.layers.0.mlp.up_proj.weight": (128, 64),
    "model.layers.1.mlp.up_proj.weight": (128, 64),
    "lm_head.weight": (1000, 64),
}
WEIGHTS = Weights(shapes=SHAPES, learning=frozenset(SHAPES))
N = 2 * 64_000 + 2 * 8192
FLOAT = Regime(numbers=Numbers(narrow=4, autocast=False, lora=False), device="gpu", frozen_bytes=4.0)
WORK = Pass(tokens=100, rows=1, supervised=10)


def _load(weights: Weights = WEIGHTS) -> Load:
    return Load(weights=weights, dimensions=None, work=WORK)


@pytest.mark.parametrize(
    ("stage", "engine", "weights", "gradients", "optimizer"),
    [
        # ZeRO, figure 1, with K = 8 (float32 weights are their own master copy), and DeepSpeed's copy.
        (0, "ddp", 4.0, 4.0, 8.0),
        (1, "deepspeed", 4.0, 4.0, 12.0 / 8),
        (2, "deepspeed", 4.0, 4.0 / 8, 12.0 / 8),
        (3, "deepspeed", 4.0 / 8, 4.0 / 8, 12.0 / 8),
        (3, "fsdp2", 4.0 / 8, 4.0 / 8, 8.0 / 8),
    ],
)
def test_model_states_of_each_stage(
    stage: int, engine: str, weights: float, gradients: float, optimizer: float
) -> None:
    parts = memory_of(_load(), FLOAT, Sharding(stage=stage, processes=8, engine=engine))  # type: ignore[arg-type]
    assert parts.weights == pytest.approx(weights * N)
    assert parts.gradients == pytest.approx(gradients * N)
    assert parts.optimizer == pytest.approx(optimizer * N)


def test_frozen_weights_have_neither_gradient_nor_moments() -> None:
    weights = replace(WEIGHTS, learning=frozenset(("lm_head.weight",)))
    bfloat = replace(FLOAT, frozen_bytes=2.0)
    parts = memory_of(_load(weights), bfloat, Sharding(stage=0, processes=1, engine="single"))
    assert parts.weights == 4 * 64_000 + 2 * (N - 64_000)
    assert (parts.gradients, parts.optimizer) == (4 * 64_000, 8 * 64_000)


def test_adafactor_keeps_a_row_and_a_column() -> None:
    assert optimizer_bytes(WEIGHTS, "adafactor") == FULL * (2 * 1064 + 2 * 192)
    assert optimizer_bytes(WEIGHTS, "adamw") == 8 * N


def test_offload_leaves_states_to_the_host() -> None:
    sharding = Sharding(stage=3, processes=8, offload_optimizer=True, offload_parameters=True)
    parts = memory_of(_load(), FLOAT, sharding)
    assert (parts.weights, parts.gradients, parts.optimizer) == (0, 0, 0)
    assert parts.offloaded == pytest.approx((4 + 4 + 12) * N / 8)
    assert parts.host == parts.offloaded + parts.snapshot


def test_on_a_processor_a_checkpoint_may_be_what_needs_most() -> None:
    small = replace(WORK, tokens=1)
    load = replace(_load(), work=small)
    one = Sharding(stage=0, processes=1, engine="single")
    parts = memory_of(load, replace(FLOAT, device="cpu"), one)
    assert parts.host == 0
    # The state, a copy of it, and what the gradients have left.
    assert parts.peak == pytest.approx(RUNTIME["cpu"] + 2 * (4 + 8) * N, rel=0.05)
    on_gpu = memory_of(load, FLOAT, one)
    assert on_gpu.host == (4 + 8) * N
    assert on_gpu.peak < parts.peak + RUNTIME["gpu"]


def test_gradients_of_one_pass_arise_while_activations_go() -> None:
    once = memory_at(job(micro=512), Sharding(stage=0, processes=1, engine="single"), "gpu")
    twice = memory_at(job(micro=256), Sharding(stage=0, processes=1, engine="single"), "gpu")
    assert once.overlap > 0
    assert twice.overlap == 0


@given(
    processes=st.sampled_from([1, 2, 4, 8, 64]),
    rank=st.sampled_from([0, 4]),
    narrow=st.sampled_from([2, 4]),
    again=st.booleans(),
)
def test_what_holds_of_any_job(processes: int, rank: int, narrow: int, again: bool) -> None:
    one = job(TINY, rank=rank, narrow=narrow, checkpointing=again)
    at = stages(one, processes, "gpu")
    states = {stage: parts.weights + parts.gradients for stage, parts in at.items()}
    assert states[0] >= states[1] >= states[2] >= states[3] > 0
    assert at[1].optimizer == pytest.approx(at[3].optimizer)
    # What is shared sums to the whole over all processes.
    assert at[3].weights * processes == pytest.approx(at[0].weights)
    assert at[2].gradients * processes == pytest.approx(at[0].gradients)
    assert at[0].optimizer == pytest.approx(at[3].optimizer * processes * 8 / 12)
    for parts in at.values():
        assert max(parts.named().values()) <= parts.peak <= sum(parts.named().values())


def test_stage_3_of_one_process_holds_what_stage_0_does() -> None:
    at = stages(job(narrow=4), 1, "gpu")
    assert (at[3].weights, at[3].gradients) == (at[0].weights, at[0].gradients)


@pytest.mark.parametrize("rank", [0, 8])
def test_recomputation_and_smaller_passes_need_less(rank: int) -> None:
    one = Sharding(stage=0, processes=1, engine="single")
    usual = memory_at(job(LLAMA_8B, rank=rank, micro=8), one, "gpu")
    again = memory_at(job(LLAMA_8B, rank=rank, micro=8, checkpointing=True), one, "gpu")
    fewer = memory_at(job(LLAMA_8B, rank=rank, micro=4), one, "gpu")
    assert again.activations < usual.activations / 4
    assert fewer.activations < usual.activations
    assert again.peak < usual.peak
    assert fewer.peak < usual.peak


def test_adapters_of_an_8b_model_fit_where_the_whole_does_not() -> None:
    one = Sharding(stage=0, processes=1, engine="single")
    whole, adapters = (
        memory_at(job(LLAMA_8B, micro=1), one, "gpu"),
        memory_at(job(LLAMA_8B, rank=16, micro=1), one, "gpu"),
    )
    assert whole.peak > 120e9  # 16 bytes a weight
    assert adapters.peak < 24 * 2**30


def test_a_running_mean_is_one_more_copy_of_what_learns() -> None:
    for stage in (0, 2):
        sharding = Sharding(stage=stage, processes=8, engine="ddp" if stage == 0 else "deepspeed")
        without, kept = (
            memory_of(_load(), replace(FLOAT, mean=mean), sharding).optimizer for mean in (False, True)
        )
        assert kept - without == FULL * N
