"""A text in windows that overlap, and in which of them each word is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.errors import UserError
from tunesmith.tasks.task import Example
from tunesmith.tasks.text.word_tags import Words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text, or all of it.

    Attributes:
        ids: token ids with the model's special tokens.
        firsts: word -> the token that begins it, of the words that are read in this window.
    """

    ids: list[int]
    firsts: dict[int, int]


def windows_of(
    tokenizer: PreTrainedTokenizerBase, words: Words, max_length: int, overlap: int
) -> list[Window]:
    """The windows of a text; each word is read where it stands furthest from an edge.

    Args:
        tokenizer: a fast one.
        words: of the text.
        max_length: most tokens of a window.
        overlap: tokens that neighbouring windows share; fewer where a window has no room for so many.

    Raises:
        UserError: a window has no room for a token of the text.
    """
    room = room_in_window(tokenizer, max_length)
    tokens = tokenizer(
        words.text,
        truncation=True,
        max_length=max_length,
        stride=min(overlap, room - 1),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    firsts = [first_tokens(words, places) for places in tokens["offset_mapping"]]
    depth: dict[int, int] = {}
    home: dict[int, int] = {}
    for number, (found, places) in enumerate(zip(firsts, tokens["offset_mapping"], strict=True)):
        for word, token in found.items():
            edge = min(token, len(places) - 1 - token)
            if edge > depth.get(word, -1):
                depth[word], home[word] = edge, number
    return [
        Window(list(ids), {word: token for word, token in found.items() if home[word] == number})
        for number, (ids, found) in enumerate(zip(tokens["input_ids"], firsts, strict=True))
    ]


def room_in_window(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """How many tokens of a text a window has beside the model's special tokens.

    Raises:
        UserError: none.
    """
    special = int(tokenizer.num_special_tokens_to_add())
    if max_length <= special:
        raise UserError(
            f"`data.max_length: {max_length}` has no room for text beside {special} special tokens",
            "data.max_length",
            f"set it to {special + 1} or more, or leave it out",
        )
    return max_length - special


def first_tokens(words: Words, places: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Word -> the token that begins it.

    Args:
        words: of a text.
        places: begin and end of each token in the text, as a tokenizer tells them; empty for special tokens.
            Some count the blank before a word to its first token.
    """
    starts = {start: number for number, (start, _) in enumerate(words.places)}
    found: dict[int, int] = {}
    for token, (start, end) in enumerate(places):
        inside = words.text[start:end]
        begin = start + len(inside) - len(inside.lstrip())
        if begin < end and begin in starts:
            found.setdefault(starts[begin], token)
    return found


def words_in(examples: Sequence[Example]) -> Iterator[tuple[int, int, int, int]]:
    """Example, window of the batch, word and token of every word that is read, all counted from 0.

    An example's ``firsts`` has for each of its windows pairs of word and token.
    """
    window = 0
    for place, example in enumerate(examples):
        for each in example["firsts"]:
            yield from ((place, window, word, token) for word, token in each)
            window += 1
