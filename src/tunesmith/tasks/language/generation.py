"""Greedy generation with a key-value cache, in passes of similar length, the shared opening computed once."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import Any

import torch
from transformers import DynamicCache

from tunesmith.data.passes import split_passes, tokens_per_pass
from tunesmith.fault import fault
from tunesmith.model.end_tokens import end_tokens_of
from tunesmith.model.positions import positions_of
from tunesmith.tasks.language.packing import heeds_masks, shared_length

__all__ = ["end_tokens_of", "generate"]


@torch.no_grad()
def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    end_tokens: Sequence[int],
    pad_token: int,
    max_new_tokens: int,
    batch_size: int,
) -> list[list[int]]:
    """New tokens for each prompt, without the end token.

    An answer ends at an end token, after ``max_new_tokens``, or where the model has no more positions.

    Args:
        model: a causal language model in evaluation mode.
        prompts: token ids, none empty.
        end_tokens: any of them ends an answer.
        pad_token: fills rows; its value does not matter to the result.
        max_new_tokens: most tokens of an answer.
        batch_size: most prompts of a forward pass; long ones are fewer.
    """
    batch = _generate_batch if takes_positions(model) else _generate_by_length
    answers: list[list[int]] = [[] for _ in prompts]
    for chosen in split_passes(
        list(map(len, prompts)), rows=batch_size, tokens=tokens_per_pass(model.device.type)
    ):
        fault("generate")
        rows = batch(model, [prompts[i] for i in chosen], end_tokens, pad_token, max_new_tokens)
        for index, row in zip(chosen, rows, strict=True):
            answers[index] = row
    return answers


def _generate_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    end_tokens: Sequence[int],
    pad_token: int,
    max_new_tokens: int,
) -> list[list[int]]:
    device = model.device
    shared = shared_length(prompts, min(map(len, prompts)) - 1) if can_share(model) else 0
    cache = prefix_cache(model, prompts[0][:shared])
    if shared:
        cache.batch_repeat_interleave(len(prompts))
    tails = [list(prompt[shared:]) for prompt in prompts]
    width = max(len(tail) for tail in tails)
    ids = torch.tensor([[pad_token] * (width - len(tail)) + tail for tail in tails], device=device)
    mask = torch.tensor([[1] * shared + [0] * (width - len(t)) + [1] * len(t) for t in tails], device=device)
    ends = torch.tensor(list(end_tokens), device=device)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    rows: list[list[int]] = [[] for _ in prompts]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
    limit = positions_of(model.config) or sys.maxsize
    for _ in range(max_new_tokens):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        chosen = output.logits[:, -1].argmax(-1)
        done |= torch.isin(chosen, ends)
        for row, token, finished in zip(rows, chosen.tolist(), done.tolist(), strict=True):
            if not finished:
                row.append(token)
        # The newest token's own place must exist before it can be read.
        positions = (positions[:, -1:] + 1).clamp(max=limit - 1)
        done |= torch.tensor([len(p) + len(r) > limit for p, r in zip(prompts, rows, strict=True)]).to(device)
        if bool(done.all()):
            break
        ids = chosen[:, None]
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
    return rows


def _generate_by_length(
    model: Any,
    prompts: Sequence[Sequence[int]],
    end_tokens: Sequence[int],
    pad_token: int,
    max_new_tokens: int,
) -> list[list[int]]:
    """Any other model, as transformers generates; prompts of one length together, so nothing is padded."""
    rows: list[list[int]] = []
    for length, group in groupby(prompts, key=len):
        new = min(max_new_tokens, (positions_of(model.config) or sys.maxsize) - length + 1)
        ids = torch.tensor([list(prompt) for prompt in group], device=model.device)
        told = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            num_beams=1,
            max_new_tokens=max(new, 1),
            eos_token_id=list(end_tokens) or None,
            pad_token_id=pad_token,
            use_cache=model.config.model_type not in UNCACHED,
        )
        rows += [list(takewhile(lambda t: t not in end_tokens, row)) for row in told[:, length:].tolist()]
    return rows


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


def prefix_cache(model: Any, tokens: Sequence[int]) -> DynamicCache:
    """Keys and values of the tokens, for one row; empty if there are none."""
    cache = DynamicCache(config=model.config)
    if tokens:
        ids = torch.tensor([list(tokens)], device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache
