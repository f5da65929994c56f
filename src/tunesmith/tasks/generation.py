"""Greedy generation with a key-value cache, in length-sorted batches, the shared opening computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from tunesmith.tasks.packing import shared_length


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

    Args:
        model: a causal language model in evaluation mode.
        prompts: token ids, none empty.
        end_tokens: any of them ends an answer.
        pad_token: fills rows; its value does not matter to the result.
        max_new_tokens: most tokens of an answer.
        batch_size: prompts per forward pass.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    answers: list[list[int]] = [[] for _ in prompts]
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rows = _generate_batch(model, [prompts[i] for i in chosen], end_tokens, pad_token, max_new_tokens)
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
    shortest = min(len(prompt) for prompt in prompts)
    shared = shared_length(prompts, shortest - 1)
    cache = DynamicCache(config=model.config)
    if shared:
        model(
            input_ids=torch.tensor([list(prompts[0][:shared])], device=device),
            past_key_values=cache,
            use_cache=True,
        )
        cache.batch_repeat_interleave(len(prompts))
    tails = [list(prompt[shared:]) for prompt in prompts]
    width = max(len(tail) for tail in tails)
    ids = torch.tensor([[pad_token] * (width - len(tail)) + tail for tail in tails], device=device)
    mask = torch.tensor([[1] * shared + [0] * (width - len(t)) + [1] * len(t) for t in tails], device=device)
    ends = torch.tensor(list(end_tokens), device=device)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    rows: list[list[int]] = [[] for _ in prompts]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
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
        if bool(done.all()):
            break
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
    return rows


def end_tokens_of(tokenizer: Any, generation_config: Any = None) -> tuple[int, ...]:
    """Every token that ends an answer, by the tokenizer and the model's generation settings."""
    found = {tokenizer.eos_token_id}
    configured = getattr(generation_config, "eos_token_id", None)
    found |= set(configured) if isinstance(configured, list | tuple) else {configured}
    return tuple(sorted(token for token in found if token is not None))
