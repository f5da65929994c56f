"""Text for an encoder: tokens of at most so many, and a padded batch of them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunesmith.errors import UserError
from tunesmith.tasks.task import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_text(
    tokenizer: PreTrainedTokenizerBase, text: str, row_id: str, max_length: int, overflow: str
) -> Example | int:
    """Token ids of a text with the model's special tokens.

    Returns:
        The example's token fields, or the length of a text that is to be dropped.

    Raises:
        UserError: for an over-long text where the recipe wants an error.
    """
    ids = tokenizer(text)["input_ids"]
    if len(ids) <= max_length:
        return {"input_ids": list(ids), "length": len(ids), "truncated": False}
    if overflow == "truncate":
        cut = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        return {"input_ids": list(cut), "length": len(cut), "truncated": True}
    if overflow == "error":
        raise UserError(
            f"row `{row_id}` has {len(ids)} tokens, and `data.max_length` is {max_length}",
            hint="set `data.overflow` to `truncate` (cuts the text's end) or `drop`, or raise "
            "`data.max_length` if the model has more positions",
        )
    return len(ids)


def pad_batch(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Token ids and attention mask, [B, T], padded to the longest of the batch."""
    rows = [example["input_ids"] for example in examples]
    width = max(len(row) for row in rows)
    pad = tokenizer.pad_token_id or 0
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def tokens_of(example: Example) -> list[int]:
    """Token ids of an encoded text."""
    ids: list[int] = example["input_ids"]
    return ids


def show_tokens(tokenizer: PreTrainedTokenizerBase, example: Example) -> list[tuple[str, bool]]:
    """The tokens of a text, and what is to be learnt of it."""
    shown = [(str(tokenizer.decode([token])), False) for token in example["input_ids"]]
    return [*shown, (f" -> {example['reference']}", True)]


def show_parts(
    tokenizer: PreTrainedTokenizerBase, parts: Sequence[tuple[Sequence[int], bool]]
) -> list[tuple[str, bool]]:
    """The tokens of several texts, those that are there, and whether each is learnt."""
    shown: list[tuple[str, bool]] = []
    for ids, learnt in parts:
        shown += [(" | ", False)] if shown and ids else []
        shown += [(str(tokenizer.decode([token])), learnt) for token in ids]
    return shown


NOT_LEARNT = -100
"""Label of a token of which nothing is learnt, and the word of one that belongs to none."""
KEPT, RANDOM = 0.1, 0.1
"""Shares of the hidden tokens that stay as they are, and that become any other."""


def mask_tokens(
    ids: Sequence[int],
    words: Sequence[int],
    draw: np.random.Generator,
    *,
    share: float,
    whole_words: bool,
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[list[int], list[int]]:
    """Hide a share of the tokens (Devlin et al. 2019, arXiv 1810.04805, section 3.1).

    Args:
        ids: of a text.
        words: to which word each token belongs; ``NOT_LEARNT`` for special tokens, which are never hidden.
        draw: random numbers.
        share: of the tokens; at least one is hidden, and with whole words a few more may be.
        whole_words: hide all tokens of a word, or none.
        tokenizer: whose mask stands for most of them.

    Returns:
        What the model sees, and what was hidden at each place, ``NOT_LEARNT`` where nothing was.
    """
    tokens, parts = np.array(ids), np.array(words)
    units = parts if whole_words else np.where(parts == NOT_LEARNT, NOT_LEARNT, np.arange(len(tokens)))
    found, sizes = np.unique(units[units != NOT_LEARNT], return_counts=True)
    order = draw.permutation(len(found))
    wanted = max(1, round(share * int(sizes.sum())))
    chosen = np.isin(units, found[order[np.cumsum(sizes[order]) - sizes[order] < wanted]])
    fate, others = draw.random(len(tokens)), draw.integers(len(tokenizer), size=len(tokens))
    instead = np.where(fate < KEPT + RANDOM, others, tokenizer.mask_token_id)
    seen = np.where(chosen & (fate >= KEPT), instead, tokens)
    return seen.tolist(), np.where(chosen, tokens, NOT_LEARNT).tolist()


def without_cache(model: Any) -> dict[str, bool]:
    """Arguments with which a language model as a classifier keeps no keys and values, which nobody reads."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = "use_cache" in inspect.signature(type(bare).forward).parameters
    return {"use_cache": False} if takes else {}
