"""Losses over all vectors of a batch, as sums over its rows, and the pooling that makes a text one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F

from tunesmith.tasks.text.encoder_inputs import without_cache

Pooling = Literal["mean", "cls", "last"]
FAR = 1e12
"""Taken from what is no pair, so that it adds nothing to a sum of exponentials."""


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector a text, [B, H], in float32.

    Args:
        hidden: the last layer's, [B, T, H].
        mask: 1 for tokens and 0 for padding behind them, [B, T].
        pooling: the mean of the tokens' vectors, or the first or the last of them.
    """
    hidden = hidden.float()
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
    weight = mask[:, :, None].float()
    return (hidden * weight).sum(1) / weight.sum(1)


def text_vectors(model: Any, inputs: Mapping[str, torch.Tensor], pooling: Pooling) -> torch.Tensor:
    """A model's vector of each text, [B, H], in float32.

    Args:
        model: without a head.
        inputs: token ids and mask, [B, T].
        pooling: see ``pooled``.
    """
    found = model(**inputs, **without_cache(model))
    vectors = pooled(found.last_hidden_state, inputs["attention_mask"], pooling)
    if getattr(found, "pooler_output", None) is not None:
        vectors = vectors + 0.0 * found.pooler_output.sum()  # processes want a gradient of each weight
    return vectors


def ranking_loss(
    anchors: torch.Tensor,
    candidates: torch.Tensor,
    keys: torch.Tensor,
    *,
    scale: float,
) -> torch.Tensor:
    """Cross-entropy of each anchor's own candidate among all, summed over anchors.

    ``-log exp(s cos(a_i, c_i)) / sum_j exp(s cos(a_i, c_j))``: in-batch negatives (Henderson et al. 2017,
    arXiv 1705.00652, section 4.4). A candidate with the text of the anchor's own is no negative of it.

    Args:
        anchors: [N, H].
        candidates: [M, H], M >= N; the first N belong to the anchors in their order, the others to none.
        keys: of the candidates' texts, [M]; equal where the texts are.
        scale: s.
    """
    scores = scale * F.normalize(anchors, dim=-1) @ F.normalize(candidates, dim=-1).T
    own = torch.arange(len(anchors), device=anchors.device)
    same = keys[own][:, None] == keys[None, :]
    same[own, own] = False
    return F.cross_entropy(scores.masked_fill(same, -FAR), own, reduction="sum")


def cosent_loss(
    anchors: torch.Tensor, others: torch.Tensor, scores: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """CoSENT: every pair with a lower score should have the lower cosine; times the number of pairs.

    ``log(1 + sum_{y_i < y_j} exp(s (cos_i - cos_j)))`` (Su 2022, as in sentence-transformers' CoSENTLoss).

    Args:
        anchors: [N, H].
        others: [N, H].
        scores: y, [N].
        scale: s.
    """
    cosines = scale * F.cosine_similarity(anchors, others)
    lower = (scores[:, None] < scores[None, :]).float()
    differences = cosines[:, None] - cosines[None, :] - (1 - lower) * FAR
    together = torch.cat([differences.new_zeros(1), differences.flatten()])
    return torch.logsumexp(together, 0) * len(scores)
