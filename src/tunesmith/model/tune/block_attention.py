"""Attention of a packed row block by block, where its mask is empty between blocks.

The examples of a packed row do not see each other, so all that stands between two of them in the square of
attention is masked: a row of n equal examples computes n times what it needs. Cut into blocks that end where
examples end, the row computes the blocks on the diagonal and the columns of the shared opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

WIDTH = {"cpu": 128}
"""Tokens from which a block is closed, by the device: small ones save, and each costs a call."""
WIDTH_ELSEWHERE = 1024


def blocks_of(starts: Sequence[int], tokens: int, device: str) -> tuple[tuple[int, int], ...]:
    """Where the blocks of a row begin and end: whole examples, each block as wide as pays.

    Args:
        starts: the first token of each example, its shared opening apart; the opening belongs to the first.
        tokens: of the row.
        device: its type.
    """
    width, blocks, begin = WIDTH.get(device, WIDTH_ELSEWHERE), [], 0
    for end in (*starts[1:], tokens):
        if end - begin >= width or end == tokens:
            blocks.append((begin, end))
            begin = end
    return tuple(blocks)


@cache
def attend_in_blocks() -> None:
    """Let the ``sdpa`` attention of every model heed ``blocks``, from now on; without them it is as before.

    Models that hand nothing on to their attention (StableLM) attend to the whole row.
    """
    from transformers import AttentionInterface

    AttentionInterface.register("sdpa", block_attention)


def block_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    blocks: Sequence[tuple[int, int]] = (),
    opening: int = 0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot product attention, block by block if there are several.

    Args:
        module: the layer.
        query: [1, heads, T, D].
        key: [1, heads, C + T, D], C tokens of it cached.
        value: as the key.
        attention_mask: [1, 1, T, C + T], true where a token may be seen.
        blocks: of the row; a token sees nothing before its block but the opening.
        opening: tokens that all examples open with, the first columns.
        others: as transformers hands them on.

    Returns:
        [1, T, heads, D], and no weights.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if len(blocks) < 2 or attention_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)[0], None
    cached = key.shape[2] - query.shape[2]
    parts = []
    for begin, end in blocks:
        spans = [(cached + begin, cached + end)]
        spans = [(0, cached + end)] if cached + begin <= opening else [(0, opening), *spans]
        part = attention_mask[:, :, begin:end]
        keys, values = _columns(key, spans, 2), _columns(value, spans, 2)
        seen = _columns(part, spans, 3)
        parts.append(sdpa_attention_forward(module, query[:, :, begin:end], keys, values, seen, **others)[0])
    return torch.cat(parts, dim=1), None


def _columns(tensor: torch.Tensor, spans: Sequence[tuple[int, int]], dim: int) -> torch.Tensor:
    pieces = [tensor.narrow(dim, begin, end - begin) for begin, end in spans if end > begin]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim)
