"""What many sequences open with, computed once and held as keys and values."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from tunesmith.tasks.layout import heeds_masks

OWN_CACHE = frozenset(("minimax",))
"""Architectures that take no cache but their own."""
UNCACHED = frozenset(("moshi", "rwkv"))
"""Architectures that answer otherwise with transformers' cache: Moshi's window, RWKV's states in a batch."""


def takes_positions(model: Any) -> bool:
    """Whether a token's place can be told apart from its column, and the past is a key-value cache."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    parameters = inspect.signature(type(bare).forward).parameters
    plain = not bare._is_stateful and bare.config.model_type not in OWN_CACHE | UNCACHED
    return plain and {"position_ids", "past_key_values", "logits_to_keep"} <= set(parameters)


def can_share(model: Any) -> bool:
    """Whether an opening can be held for all that follows it, also with padding in between.

    A window counts columns (sliding attention, or GPT-Neo's local one), so what stands between an opening and
    a token would matter there.
    """
    return takes_positions(model) and heeds_masks(model.config)


def opening_cache(model: Any, tokens: Sequence[int]) -> DynamicCache:
    """Keys and values of the tokens, for one row; empty if there are none."""
    cache = DynamicCache(config=model.config)
    if tokens:
        ids = torch.tensor([list(tokens)], device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache
