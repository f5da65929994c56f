"""A conversation as text, and which of its characters carry loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError

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
    carries no loss: the model has stopped by then.

    Returns:
        The text, and ``(start, end)`` character positions in it, in order.

    Raises:
        UserError: if the template rewrites earlier turns, so that no span can be trusted.
    """
    text = render(tokenizer, messages)
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    spans = []
    for index in answers[-1:] if last_only else answers:
        opening = render(tokenizer, messages[:index], ask=True)
        whole = render(tokenizer, messages[: index + 1])
        if not (whole.startswith(opening) and text.startswith(whole.rstrip())):
            raise UserError(
                "the chat template rewrites earlier turns, so the assistant's tokens cannot be told apart",
                hint="set `data.loss_on: last_assistant`, or give a template that writes turns in order in "
                "`model.chat_template`",
            )
        spans.append((len(opening), _end_of_turn(tokenizer, whole, len(opening))))
    return text, spans


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, whole: str, start: int) -> int:
    end = len(whole.rstrip())
    return max(end, start) if tokenizer.eos_token and tokenizer.eos_token in whole[start:] else len(whole)


def plain_spans(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, last_only: bool = False
) -> tuple[str, list[Span]]:
    """The contents one after the other, without a template; answers end with the end-of-text token."""
    text, spans = "", []
    for message in messages:
        start = len(text)
        text += message["content"]
        if message["role"] == "assistant":
            text += str(tokenizer.eos_token or "")
            spans.append((start, len(text)))
    return text, spans[-1:] if last_only else spans


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
    """Content of the last message of a role, or an empty string."""
    return next((str(m["content"]) for m in reversed(messages) if m["role"] == role), "")


def encode_text(
    tokenizer: PreTrainedTokenizerBase, text: str, **options: Any
) -> tuple[list[int], list[Span]]:
    """Token ids of a text and each token's ``(start, end)`` characters."""
    encoded = tokenizer(text, return_offsets_mapping=True, **options)
    return list(encoded["input_ids"]), [tuple(pair) for pair in encoded["offset_mapping"]]
