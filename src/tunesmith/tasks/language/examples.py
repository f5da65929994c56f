"""A language model's examples: what is in one, and what can be asked of it without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.data.row import Row, Skip
from tunesmith.model.tune.block_attention import attend_in_blocks, blocks_of
from tunesmith.tasks.language import chat
from tunesmith.tasks.language.answer_frame import Frame
from tunesmith.tasks.language.conversations import EncodedConversation
from tunesmith.tasks.language.packing import pack, shared_length
from tunesmith.tasks.task import Batch, Example

SHARED_AMONG = 64
"""Examples that are looked at to tell how long an opening they share."""


def language_example(row: Row, found: EncodedConversation) -> Example:
    """The example of an encoded row."""
    messages = row.fields.get("messages", ())
    shown = chat.last_of(messages, "user") if messages else str(row.fields.get("text", ""))
    return {
        "id": row.id,
        "length": len(found.ids),
        "count": sum(found.marks[1:]),
        "input_ids": found.ids,
        "supervised": found.marks,
        "prompt_length": found.prompt,
        "reference": found.reference,
        "opening": found.frame.opening,
        "closing": found.frame.closing,
        "end": found.end,
        "input": shown,
        "truncated": False,
    }


def frame_of(example: Example) -> Frame:
    """What the template writes around its answer."""
    return Frame(example["opening"], example["closing"])


def tokens_and_marks(examples: Sequence[Example]) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of each, and which of them carry loss."""
    return [example["input_ids"] for example in examples], [example["supervised"] for example in examples]


def packed_batch(examples: Sequence[Example], *, cached: int | None = None) -> Batch:
    """Examples in one row; ``cached`` tokens of their opening are left out of it."""
    row = pack(*tokens_and_marks(examples), cached=cached)
    return Batch({name: getattr(row, name) for name in row.__slots__}, len(row.labels))


def layout_of(batch: Batch, device: str) -> dict[str, Any]:
    """What ``block_attention`` needs to know of a packed row."""
    attend_in_blocks()
    tokens, columns = batch["attention_mask"].shape[-2:]
    starts: list[int] = batch["starts"].tolist()
    opening = columns - tokens or starts[0]
    return {"blocks": blocks_of(starts, tokens, device), "opening": opening}


def hits(example: Example, choices: Sequence[int]) -> int:
    """How many supervised tokens are the model's first choice there."""
    pairs = zip(example["input_ids"][1:], example["supervised"][1:], strict=True)
    return sum(map(int.__eq__, (token for token, mark in pairs if mark), choices))


def last_supervised(example: Example) -> int:
    """Where an example's last supervised token stands; nothing is predicted from there on."""
    marks: Sequence[int] = example["supervised"]
    return len(marks) - 1 - marks[::-1].index(1)


def opening_of(examples: Sequence[Example]) -> int:
    """Tokens that a sample of the examples opens with, as far as nothing is predicted there."""
    some = [examples[index] for index in range(0, len(examples), max(1, len(examples) // SHARED_AMONG))]
    first = min(each["supervised"].index(1) for each in some)
    return shared_length([each["input_ids"] for each in some], max(first - 1, 0))


def closed(example: Example | Skip, closing: int | None, most: int) -> Example | Skip:
    """A training example that ends with ``closing`` after its last answer.

    Args:
        example: as the task encoded it.
        closing: a token, if one is wanted.
        most: tokens of an example.
    """
    if closing is None or isinstance(example, Skip) or not example.get("reference"):
        return example
    end = last_supervised(example) + 1
    if example["input_ids"][end - 1] == closing or end >= most:
        return example
    ids = [*example["input_ids"][:end], closing]
    marks = [*example["supervised"][:end], 1]
    return {**example, "input_ids": ids, "supervised": marks, "length": len(ids), "count": sum(marks[1:])}
