"""Operations of a token, by what is trained: the table of the formulas."""

import pytest
from jobs import LLAMA_8B, TINY, job

from tunesmith.plan.cost.flops import token_flops
from tunesmith.plan.cost.lora_shapes import tuned_weights
from tunesmith.plan.cost.weights import Weights
from tunesmith.recipe.schema.tune import LayerRange, Tune


def _cost(weights: Weights, again: bool = False, supervised: float = 1.0) -> tuple[float, float]:
    cost = token_flops(weights, None, attended=0, supervised=supervised, checkpointing=again)
    return cost.needed, cost.done


def test_everything_learns_six_and_eight() -> None:
    weights = job(TINY).network.weights
    matrices = sum(size for name, size in weights.sizes.items() if len(weights.shapes[name]) == 2)
    head = weights.sizes["lm_head.weight"]
    blocks = matrices - 2 * head  # less the lookup, which multiplies nothing
    assert _cost(weights) == pytest.approx((6 * (blocks + head), 6 * (blocks + head)))
    assert _cost(weights, again=True)[1] == pytest.approx(8 * blocks + 6 * head)
    assert _cost(weights, supervised=0.25)[0] == pytest.approx(6 * (blocks + head / 4))


def test_adapters_four() -> None:
    weights = job(TINY, rank=4).network.weights
    adapters = weights.adapters
    head = weights.sizes["lm_head.weight"]
    matrices = sum(size for name, size in weights.sizes.items() if len(weights.shapes[name]) == 2)
    frozen = matrices - 2 * head - adapters
    assert _cost(weights)[0] == pytest.approx(4 * (frozen + head) + 6 * adapters)


def test_below_the_lowest_layer_that_learns_there_is_no_backward_pass() -> None:
    shapes = job(TINY).network.weights.shapes
    weights = tuned_weights(shapes, Tune(layers=LayerRange(last=1)), ())
    head, block = weights.sizes["lm_head.weight"], weights.largest_block - 2 * 64
    # Of two blocks the lower only goes forwards; the frozen head passes its gradient on.
    assert _cost(weights)[0] == pytest.approx(2 * block + 6 * block + 4 * head)


def test_a_tied_embedding_is_the_output_layer_too() -> None:
    tied, untied = job({**TINY, "tie_word_embeddings": True}).network.weights, job(TINY).network.weights
    assert _cost(tied) == pytest.approx(_cost(untied))


def test_attention_grows_with_the_length_attended() -> None:
    one = job(LLAMA_8B)
    short = token_flops(one.network.weights, one.network.dimensions, attended=100, supervised=1.0)
    long = token_flops(one.network.weights, one.network.dimensions, attended=200, supervised=1.0)
    assert long.forward - short.forward == pytest.approx(4 * 100 * 32 * 4096)
    assert long.needed - short.needed == pytest.approx(12 * 100 * 32 * 4096)
    assert long.attention == pytest.approx(2 * short.attention)


def test_an_8b_model_costs_six_times_its_size() -> None:
    one = job(LLAMA_8B)
    cost = token_flops(one.network.weights, one.network.dimensions, attended=0, supervised=1.0)
    assert cost.needed == pytest.approx(6 * 7.5e9, rel=0.01)
