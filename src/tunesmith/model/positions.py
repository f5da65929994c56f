"""How long a sequence a model has positions for."""

from __future__ import annotations

from typing import Any

COUNT_FROM_PADDING = frozenset(
    """
    camembert data2vec-text esm ibert layoutlmv3 lilt longformer luke markuplm mpnet roberta
    roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod
    """.split()  # noqa: SIM905
)
"""Architectures whose first position is the one behind the padding token's index."""


def positions_of(config: Any) -> int | None:
    """Longest sequence that the model has positions for, if it has a limit."""
    text = config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(text, name, None)
        if isinstance(value, int) and 0 < value < 10**9:
            return value - (text.pad_token_id + 1 if text.model_type in COUNT_FROM_PADDING else 0)
    return None
