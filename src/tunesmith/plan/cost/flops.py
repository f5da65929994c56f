"""Floating-point operations of a token, by what is trained. Pure.

A product of a matrix with N entries costs 2N forwards, 2N for its input's gradient and 2N for its own
(Kaplan et al. 2020, arXiv 2001.08361, section 2.1: 6N for all three). A frozen matrix has no gradient of
its own: LoRA needs 4N. Below the lowest layer that learns there is no backward pass: 2N. Recomputation
repeats the forward pass of the layers that learn (Korthikanti et al. 2022, arXiv 2205.05198, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.model.tune.select import block_of, is_head
from tunesmith.plan.cost.dimensions import Dimensions
from tunesmith.plan.cost.weights import Weights, is_embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Operations of one token.

    Attributes:
        needed: for forward and backward.
        done: ``needed`` and what is computed again.
        forward: of evaluation.
        attention: what attention has of ``done``; it runs slower than other products.
    """

    needed: float
    done: float
    forward: float
    attention: float


def token_flops(
    weights: Weights,
    dim: Dimensions | None,
    *,
    attended: float,
    supervised: float,
    checkpointing: bool = False,
) -> Cost:
    """Operations of one token.

    Args:
        weights: all, and which learn.
        dim: of a transformer.
        attended: tokens that a token attends to: half the length if attention is causal, all otherwise.
        supervised: share of positions whose logits are computed.
        checkpointing: whether activations are computed again.
    """
    first = weights.first_learning_block
    forward = backward = again = attended_done = 0.0
    for name, shape in weights.shapes.items():
        if len(shape) < 2:
            continue
        size, share = float(weights.sizes[name]), 1.0
        index = block_of(name.removeprefix("base_model.model."), weights.stack) if weights.stack else None
        if is_embedding(name):
            if not _is_output(name, weights):
                continue
            share = supervised
        elif is_head(name):
            share = supervised
        learns = name in weights.learning
        reached = index is None or index >= first
        forward += 2 * size * share
        backward += (2 * size * reached + 2 * size * learns) * share
        again += 2 * size * share if reached and index is not None else 0.0
    if dim is not None:
        # Scores and their product with the values: 2 x 2 operations for each attended token and width.
        attention = 4 * attended * dim.attention
        learning = max(0, dim.blocks - first)
        forward += attention * dim.blocks
        backward += 2 * attention * learning
        again += attention * learning
        repeated = learning if checkpointing else 0
        attended_done = attention * (dim.blocks + 2 * learning + repeated)
    needed = forward + backward
    done = needed + (again if checkpointing else 0.0)
    return Cost(needed=needed, done=done, forward=forward, attention=attended_done)


def _is_output(name: str, weights: Weights) -> bool:
    """Whether an embedding is the output layer, too: the largest table where there is no head of its own."""
    if weights.untied:
        return False
    tables = [each for each in weights.sizes if is_embedding(each)]
    return name == max(tables, key=lambda each: weights.sizes[each])
