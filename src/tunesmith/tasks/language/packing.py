"""Examples to one row of tokens: no padding, and the prompt start they share only once.

Every example of a micro-batch is laid behind the other in a single row. A token attends to the earlier
tokens of its own example and to nothing else, so the losses are those of separate rows. Where all
examples open alike (a system prompt, a template's frame, an instruction), that opening is computed once:
a causal model's hidden states there depend on nothing that follows, and the gradients of all examples
meet in it, as they would in its copies.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.light_config import PlainConfig
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.spec import TaskSpec

PACKABLE = frozenset(
    """
    apertus arcee cohere ernie4_5 ernie4_5_moe gemma glm glm4 glm4_moe gpt2 gpt_bigcode gpt_neox granite
    granitemoe helium llama ministral3 mistral mixtral nanochat olmo olmo2 olmoe opt persimmon phi phi3
    qwen2 qwen2_moe qwen3 qwen3_moe seed_oss smollm3 stablelm starcoder2
    """.split()  # noqa: SIM905
)
"""Architectures whose packed losses were compared with those of separate rows. Others may take a mask of
our own without a word and not heed it, so they get padded rows."""

SHORTEST_SHARED = 4


@dataclass(frozen=True, slots=True)
class Packed:
    """One packed row; T tokens, K supervised ones.

    Attributes:
        input_ids: [1, T].
        position_ids: [1, T], each example's own positions.
        attention_mask: [1, 1, T, C + T], true where a token (row) may see another (column); C are cached.
        keep: [K], positions whose logits predict a supervised token.
        labels: [K], the tokens to be predicted.
        owners: [K], which example each of them belongs to.
        starts: [B], where each example begins in the row, behind the opening.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    keep: torch.Tensor
    labels: torch.Tensor
    owners: torch.Tensor
    starts: torch.Tensor


def shared_length(sequences: Sequence[Sequence[int]], limit: int) -> int:
    """Tokens that all sequences open with, at most ``limit``; 0 where sharing would not pay."""
    if len(sequences) < 2:
        return 0
    low, high = min(sequences, key=tuple), max(sequences, key=tuple)
    limit = min(limit, len(low), len(high))
    length = next((i for i in range(limit) if low[i] != high[i]), limit)
    return length if length >= SHORTEST_SHARED else 0


def shared_prefix_length(sequences: Sequence[Sequence[int]], supervised: Sequence[Sequence[int]]) -> int:
    """Tokens that need to be computed only once: what all open with, as far as nothing is predicted there.

    The token before a supervised one predicts it, so a shared opening ends at the latest one token
    before the first supervised token: each example keeps its own predicting positions.
    """
    first = [_first(marks) for marks in supervised]
    return shared_length(sequences, max(min(first) - 1, 0)) if first else 0


def pack(
    sequences: Sequence[Sequence[int]], supervised: Sequence[Sequence[int]], *, cached: int | None = None
) -> Packed:
    """Lay sequences behind each other; ``supervised`` marks (1) the tokens that carry loss.

    From an example's last supervised token on, nothing is predicted, so it ends before that.

    Args:
        sequences: token ids of each example.
        supervised: marks of each example's tokens.
        cached: tokens of the opening that a key-value cache holds already: they are left out of the row, and
            stand before it as columns of the mask.
    """
    shared = shared_prefix_length(sequences, supervised) if cached is None else cached
    ids, positions, segments = list(sequences[0][:shared]), list(range(shared)), [-1] * shared
    keep, labels, owners, starts = [], [], [], []
    for owner, (sequence, marks) in enumerate(zip(sequences, supervised, strict=True)):
        starts.append(len(ids))
        offset, end = len(ids) - shared, _last(marks)
        for position in range(max(shared, 1), end + 1):
            if marks[position]:
                keep.append(offset + position - 1)
                labels.append(sequence[position])
                owners.append(owner)
        ids += sequence[shared:end]
        positions += range(shared, end)
        segments += [owner] * (end - shared)
    start = cached or 0
    return Packed(
        input_ids=torch.tensor([ids[start:]]),
        position_ids=torch.tensor([positions[start:]]),
        attention_mask=block_mask(torch.tensor(segments))[None, None, start:],
        keep=torch.tensor(keep, dtype=torch.long) - start,
        labels=torch.tensor(labels, dtype=torch.long),
        owners=torch.tensor(owners, dtype=torch.long),
        starts=torch.tensor(starts, dtype=torch.long) - start,
    )


def block_mask(segments: torch.Tensor) -> torch.Tensor:
    """[T, T] causal mask within segments; segment -1 is the opening that every segment sees."""
    same = segments[:, None] == segments[None, :]
    opening = (segments == -1)[None, :]
    return (same | opening).tril()


def _first(marks: Sequence[int]) -> int:
    return next((index for index, mark in enumerate(marks) if mark), len(marks))


def _last(marks: Sequence[int]) -> int:
    return next(index for index in range(len(marks) - 1, -1, -1) if marks[index])


def padded(
    sequences: Sequence[Sequence[int]], marks: Sequence[Sequence[int]], pad_token: int
) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``attention_mask`` [B, T], and where in B * T what is supervised is predicted.

    Args:
        sequences: token ids of each example.
        marks: which tokens (1) carry loss.
        pad_token: fills rows.
    """
    width = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), width), pad_token)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    keep, labels, owners = [], [], []
    for owner, (sequence, row) in enumerate(zip(sequences, marks, strict=True)):
        ids[owner, : len(sequence)] = torch.tensor(sequence)
        mask[owner, : len(sequence)] = 1
        for position in (i for i in range(1, len(sequence)) if row[i]):
            keep.append(owner * width + position - 1)
            labels.append(sequence[position])
            owners.append(owner)
    vectors = {"keep": keep, "labels": labels, "owners": owners}
    return {"input_ids": ids, "attention_mask": mask} | {
        name: torch.tensor(values, dtype=torch.long) for name, values in vectors.items()
    }


def can_pack(config: Any, model_class: Any) -> bool:
    """Whether the model takes positions and a mask of our own, and nothing but full attention mixes tokens.

    Args:
        config: the model's configuration.
        model_class: its class; the forward method's parameters are looked at.
    """
    parameters = inspect.signature(model_class.forward).parameters
    return heeds_masks(config) and {"position_ids", "attention_mask", "logits_to_keep"} <= set(parameters)


def heeds_masks(config: Any) -> bool:
    """Whether such a model is known to mix tokens by full attention alone, as a mask and positions say.

    Not where a window, a convolution or a state counts what lies between two tokens in a row.
    """
    text = config.get_text_config()
    layers = getattr(text, "layer_types", None) or []
    window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
    full = all(kind == "full_attention" for kind in layers)
    return config.model_type in PACKABLE and full and (bool(layers) or not window)


def class_of(config: Any, auto_model: str) -> Any:
    """The class that an auto class makes of a configuration, ``None`` if transformers does not know it."""
    import transformers

    return getattr(transformers, auto_model)._model_mapping.get(type(config), None)


def packs(recipe: Recipe, config: Any, spec: TaskSpec) -> bool:
    """Whether the examples of a run lie in one row.

    Raises:
        UserError: if the recipe asks for it and the model cannot.
    """
    if "packing" not in spec.accepts or recipe.batch.layout == "padded":
        return False
    if isinstance(config, PlainConfig):
        able = config.packs
    else:
        model_class = class_of(config, spec.auto_model)
        able = model_class is not None and can_pack(config, model_class)
    if recipe.batch.layout == "packed" and not able:
        raise UserError(
            f"examples of a {config.model_type} model cannot be packed into one row: "
            "it mixes tokens by other means than full attention",
            "batch.layout",
            "set `batch.layout` to `padded` or `auto`",
        )
    if recipe.batch.layout == "packed" and recipe.model.attention != "sdpa":
        raise UserError(
            f"examples cannot be packed into one row with `model.attention: {recipe.model.attention}`",
            "batch.layout",
            "leave `model.attention` out, or set `batch.layout` to `padded` or `auto`",
        )
    return able and recipe.model.attention == "sdpa"
