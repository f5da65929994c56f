"""A conversation as text, and which of its characters carry loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.model.end_tokens import special_suffix

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, str]
Span = tuple[int, int]


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, ask: bool = False) -> str:
    """The conversation as its chat template writes it; ``ask`` adds the opening of the next answer.

    Raises:
        UserError: if the tokenizer has no chat template, or the template refuses the conversation.
    """
    if not tokenizer.chat_template:
        raise UserError(
            "the tokenizer has no chat template, and the rows are conversations",
            hint="set `model.chat_template` to a template or its path, or to `none` to join prompt and "
            "completion as plain text",
        )
    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)
    except Exception as error:  # jinja's errors and the templates' own `raise_exception` have no common base
        raise UserError(f"the chat template refuses a conversation: {error}") from error
    return str(text)


def assistant_spans(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, last_only: bool = False
) -> tuple[str, list[Span]]:
    """Render a conversation and find the characters of each answer, its end-of-turn mark included.

    An answer is what the template writes after the opening of an assistant's turn, so the spans follow
    any template that writes a conversation from left to right. White space after the end-of-turn mark
    carries no loss: the model has stopped by then. Neither does a blank answer: nothing was said.

    Returns:
        The text, and ``(start, end)`` character positions in it, in order.

    Raises:
        UserError: if the template rewrites earlier turns, so that no span can be trusted.
    """
    text = render(tokenizer, messages)
    spans = []
    for index in _answers(messages, last_only=last_only):
        whole = render(tokenizer, messages[: index + 1])
        opening = _opening(tokenizer, messages, index, whole)
        if not (whole.startswith(opening) and text.startswith(whole.rstrip())):
            raise UserError(
                "the chat template rewrites earlier turns, so the assistant's tokens cannot be told apart",
                hint="set `data.loss_on: last_assistant`, or give a template that writes turns in order in "
                "`model.chat_template`",
            )
        spans.append((len(opening), _end_of_turn(tokenizer, whole, len(opening))))
    return text, spans


def _answers(messages: Sequence[Message], *, last_only: bool) -> list[int]:
    """Indices of the assistant's messages that say something."""
    found = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return [index for index in (found[-1:] if last_only else found) if messages[index]["content"].strip()]


def _opening(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], index: int, whole: str) -> str:
    """The text up to an answer, as inference would write it."""
    if index:
        return render(tokenizer, messages[:index], ask=True)
    # The assistant opens the conversation. No template renders an empty one, so the words that open a
    # turn are those it would write next.
    words = render(tokenizer, messages[:1], ask=True).removeprefix(whole)
    before = whole.find(words + messages[0]["content"].strip())
    return whole[: before + len(words)] if before >= 0 else words


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, whole: str, start: int) -> int:
    end = len(whole.rstrip())
    return end if special_suffix(tokenizer, whole[start:end]) else len(whole)


def plain_spans(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, last_only: bool = False
) -> tuple[str, list[Span]]:
    """The contents one after the other, without a template; answers end with the end-of-text token.

    The text opens with the beginning-of-text token where the tokenizer would put one.
    """
    wanted = _answers(messages, last_only=last_only)
    text, spans = _beginning(tokenizer), []
    for index, message in enumerate(messages):
        start = len(text)
        text += message["content"]
        if message["role"] == "assistant":
            text += str(tokenizer.eos_token or "")
        if index in wanted:
            spans.append((start, len(text)))
    return text, spans


def _beginning(tokenizer: PreTrainedTokenizerBase) -> str:
    first = tokenizer("")["input_ids"][:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""


def supervised_tokens(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """Mark (1) each token that begins inside a span; a token that straddles a span's start is not in it."""
    marks = [0] * len(offsets)
    index = 0
    for start, end in spans:
        while index < len(offsets) and offsets[index][0] < start:
            index += 1
        while index < len(offsets) and offsets[index][0] < end:
            if offsets[index][1] > offsets[index][0]:
                marks[index] = 1
            index += 1
    return marks


def last_of(messages: Sequence[Message], role: str) -> str:
    """Content of the last message of a role that says something, or an empty string."""
    contents = (str(message["content"]) for message in reversed(messages) if message["role"] == role)
    return next((content for content in contents if content.strip()), "")


def encode_spans(
    tokenizer: PreTrainedTokenizerBase, text: str, spans: Sequence[Span]
) -> tuple[list[int], list[Span]]:
    """Like ``encode_text`` without special tokens, but no token reaches across the start of a span.

    A tokenizer may merge the end of a prompt with the start of its answer (``": "`` and ``"yes"`` become
    ``":"`` and ``" yes"``). Inference has the prompt alone and never sees that token, so such a text is
    encoded in pieces that begin where the answers do.
    """
    ids, offsets = encode_text(tokenizer, text, add_special_tokens=False)
    starts = [start for start, _ in spans]
    if not any(begin < start < end for start in starts for begin, end in offsets):
        return ids, offsets
    ids, offsets = [], []
    for begin, end in pairwise([0, *starts, len(text)]):
        piece, places = encode_text(tokenizer, text[begin:end], add_special_tokens=False)
        ids += piece
        offsets += [(begin + first, begin + last) for first, last in places]
    return ids, offsets


def encode_text(
    tokenizer: PreTrainedTokenizerBase, text: str, **options: Any
) -> tuple[list[int], list[Span]]:
    """Token ids of a text and each token's ``(start, end)`` characters, leading white space included.

    Some tokenizers leave the white space of a token out of its offsets, so that indentation would stand
    for no characters; a token therefore begins no later than the one before it ended.
    """
    encoded = tokenizer(text, return_offsets_mapping=True, **options)
    offsets, reached = [], 0
    for begin, end in encoded["offset_mapping"]:
        offsets.append((min(begin, reached), end))
        reached = max(reached, end)
    return list(encoded["input_ids"]), offsets
