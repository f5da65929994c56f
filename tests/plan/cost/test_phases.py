"""What is needed before the first step and after the last, and for compiled products."""

import pytest
from jobs import LLAMA_8B, TINY, job

from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.cost.memory_parts import EXPORT, LOADING, STEP
from tunesmith.plan.cost.phases import KERNEL, kernel_bytes, loading_bytes, products
from tunesmith.plan.cost.weights import Weights
from tunesmith.plan.render import memory_lines
from tunesmith.plan.workload import memory_at
from tunesmith.world.memory import KERNELS

ALONE = Sharding(stage=0, processes=1, engine="single")
SHAPES = {
    "model.embed_tokens.weight": (1000, 64),
    "model.layers.0.q_proj.weight": (64, 64),
    "model.layers.0.k_proj.weight": (64, 64),
    "model.layers.0.up_proj.weight": (128, 64),
    "model.layers.0.norm.weight": (64,),
    "lm_head.weight": (1000, 64),
}


def test_equal_shapes_share_their_products() -> None:
    assert products(Weights(shapes=SHAPES, learning=frozenset())) == 2 * 3
    assert products(Weights(shapes=SHAPES, learning=frozenset(SHAPES))) == 3 * 3
    tied = {name: shape for name, shape in SHAPES.items() if "lm_head" not in name}
    assert products(Weights(shapes=tied, learning=frozenset())) == 2 * 3


@pytest.mark.parametrize(("lengths", "kept"), [(1, 6), (10, 60), (1000, KERNELS)])
def test_products_are_kept_up_to_a_bound(lengths: int, kept: int) -> None:
    assert kernel_bytes(Weights(shapes=SHAPES, learning=frozenset()), lengths) == kept * KERNEL


def test_products_are_compiled_in_sixteen_bits_for_each_length_on_a_processor() -> None:
    def buffers(narrow: int, steps: int) -> float:
        one = job(TINY, narrow=narrow, steps=steps, batch=1, micro=1)
        return memory_at(one, ALONE, "cpu").buffers

    few = products(job(TINY).network.weights)
    assert buffers(2, 1000) - buffers(2, 1) == pytest.approx((KERNELS - few) * KERNEL)
    assert buffers(4, 1000) == buffers(4, 1)


def test_one_weight_at_a_time_is_unpacked() -> None:
    weights = Weights(shapes=SHAPES, learning=frozenset())
    whole = 2.0 * weights.total
    assert loading_bytes(weights, 2.0, unpacked=False) == whole
    assert loading_bytes(weights, 2.0, unpacked=True) == whole + 8 * 64_000


def test_a_model_that_is_stored_in_four_bits_is_larger_when_it_is_loaded_or_merged() -> None:
    """And the plan says when most is needed."""
    small: dict[str, object] = {"rank": 8, "micro": 1, "checkpointing": True}
    plain = memory_at(job(LLAMA_8B, loaded_bytes=2.0, merges=True, **small), ALONE, "cpu")
    four = {**small, "frozen_bytes": 0.6, "loaded_bytes": 2.0}
    kept = memory_at(job(LLAMA_8B, **four), ALONE, "cpu")
    merged = memory_at(job(LLAMA_8B, merges=True, **four), ALONE, "cpu")
    assert (plain.phase, kept.phase, merged.phase) == (STEP, LOADING, EXPORT)
    assert merged.peak > 4 * 8e9 > kept.peak > 2 * 8e9 > kept.step
    told = "\n".join(memory_lines({"stage 0": merged}, None))
    assert f"stage 0: most {EXPORT}; at most" in told
    assert EXPORT not in "\n".join(memory_lines({"stage 0": plain}, None))


def test_few_layers_that_learn_take_less_than_loading_them_all_in_float32() -> None:
    one = job(LLAMA_8B, micro=1, checkpointing=True, loaded_bytes=4.0, frozen_bytes=2.0)
    weights = Weights(shapes=one.network.weights.shapes, learning=frozenset(("model.norm.weight",)))
    few = memory_at(job(LLAMA_8B, weights=weights, micro=1, loaded_bytes=4.0, frozen_bytes=2.0), ALONE, "cpu")
    assert few.phase == LOADING


def test_shared_weights_are_gathered_to_be_written() -> None:
    parts = memory_at(job(LLAMA_8B), Sharding(stage=3, processes=8), "cpu")
    assert parts.export > 4 * 8e9
    assert memory_at(job(LLAMA_8B), Sharding(stage=3, processes=8), "gpu").export == 0
