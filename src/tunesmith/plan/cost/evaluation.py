"""Bytes that an evaluation needs beside the weights: of its largest pass, and of answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.data.passes import tokens_per_pass
from tunesmith.plan.cost.activations import WIDE, Numbers
from tunesmith.plan.cost.dimensions import Dimensions

IMAGE_SHARE = 0.25
"""Of what an image keeps for learning: what a pass that keeps nothing has at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRows:
    """What its memory depends on, whatever computes.

    Attributes:
        rows: most of a pass.
        longest: tokens of the longest row; of an image, its patches.
        tokens: most of a pass, where the task has its own bound; ``None``: the device's.
        logits: bytes of logits for each token of a pass.
        answers: rows of which answers are generated together; 0 if none are.
        new_tokens: most of an answer.
    """

    rows: int
    longest: int
    tokens: int | None = None
    logits: float = 0.0
    answers: int = 0
    new_tokens: int = 0

    def pass_tokens(self, device: str) -> int:
        """Tokens of the largest pass that scores."""
        most = self.tokens if self.tokens is not None else tokens_per_pass(device)
        return min(max(most, self.longest), self.rows * self.longest)

    def prompt_tokens(self, device: str) -> int:
        """Tokens of the largest pass that begins answers."""
        return min(max(tokens_per_pass(device), self.longest), self.answers * self.longest)


def evaluation_bytes(
    rows: EvalRows, dim: Dimensions | None, numbers: Numbers, device: str, *, image: float = 0.0
) -> float:
    """Bytes of the largest pass, or of the answers that are generated together, whichever are more.

    Args:
        rows: of the evaluation.
        dim: the model's; ``None`` for others.
        numbers: its types.
        device: what computes.
        image: bytes that one image keeps for learning, where there are no dimensions.
    """
    tokens = rows.pass_tokens(device)
    if dim is None:
        return IMAGE_SHARE * image * tokens / max(rows.longest, 1)
    scoring = passing_bytes(dim, numbers, tokens) + rows.logits * tokens
    if not rows.answers:
        return scoring
    prompts = rows.prompt_tokens(device)
    held = prompts + rows.answers * rows.new_tokens
    cache = 2.0 * dim.blocks * dim.kv_heads * dim.head_width * numbers.narrow * held
    return max(scoring, cache + passing_bytes(dim, numbers, prompts))


def passing_bytes(dim: Dimensions, numbers: Numbers, tokens: float) -> float:
    """Bytes that a pass without gradients has at once: the residual stream and the widest part of a block."""
    inside = {"decoder": 3, "gpt2": 5, "encoder": 4}[dim.kind] * dim.intermediate
    around = 5 * dim.attention + dim.hidden
    return tokens * (3 * WIDE * dim.hidden + numbers.narrow * max(inside, around))
