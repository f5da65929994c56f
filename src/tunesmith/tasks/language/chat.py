"""Which characters of a conversation carry loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tunesmith.data.map.messages import says_more
from tunesmith.errors import UserError
from tunesmith.model.end_tokens import marks_of, special_suffix
from tunesmith.tasks.language.rendering import Message, Refused, refuse_cut, refuse_left_out, render_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]
_OPENING = 64  # characters of a turn's opening at most that may belong to its answer, such as `<think>`


def assistant_spans(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    last_only: bool = False,
    given: Mapping[str, Any] | None = None,
) -> tuple[str, list[Span]]:
    """Render a conversation and find the characters of each answer, its end-of-turn mark included.

    An answer is what the template writes after the opening of an assistant's turn, so the spans follow
    any template that writes a conversation from left to right; only marks may close the conversation behind
    the last turn. White space after the end-of-turn mark carries no loss: the model has stopped by then.
    Neither does a blank answer: nothing was said.

    Args:
        tokenizer: with its chat template settled.
        messages: of the row.
        last_only: whether only the last answer carries loss.
        given: what the template takes beside the messages.

    Returns:
        The text, and ``(start, end)`` character positions in it, in order.

    Raises:
        Refused: if the template refuses the conversation, or leaves out a part of it.
        UserError: if the template rewrites earlier turns or opens answers otherwise than it writes them, so
            that no span can be trusted.
    """
    text = render_template(tokenizer, messages, given=given)
    refuse_left_out(messages, text, given or {})
    spans = []
    for index in learnt_answers(messages, last_only=last_only):
        last = index == len(messages) - 1
        whole = text if last else render_template(tokenizer, messages[: index + 1], given=given)
        opening = _opening(tokenizer, messages, index, whole, given)
        kept = _kept(tokenizer, whole.rstrip(), text)
        if not whole.startswith(opening):
            raise _opens_otherwise(opening, whole)
        if kept <= len(opening):
            helps = not last_only and _works(tokenizer, messages, given)
            raise UserError(
                "the chat template rewrites earlier turns, so the assistant's tokens cannot be told apart",
                hint=("set `data.loss_on: last_assistant`, or give" if helps else "give")
                + " a template that writes turns in order in `model.chat_template`",
            )
        span = (len(opening), _end_of_turn(tokenizer, whole, text, len(opening), kept))
        turn = text[span[0] : span[1]]
        try:
            refuse_cut(messages[index], turn)
        except Refused:
            refuse_cut(messages[index], opening[-_OPENING:] + turn)
        spans.append(span)
    return text, spans


def _works(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], given: Mapping[str, Any] | None
) -> bool:
    """Whether loss on the last answer alone would do, so that nothing is advised in vain."""
    try:
        assistant_spans(tokenizer, messages, last_only=True, given=given)
    except UserError:
        return False
    return True


def _opens_otherwise(opening: str, whole: str) -> UserError:
    same = _alike(opening, whole)
    return UserError(
        f"the chat template opens an answer with {opening[same:][-40:]!r} when it asks for one, and writes "
        f"{whole[same : same + 40]!r} there when the answer is known, so that the model would learn other "
        "answers than it is asked for",
        hint="give a template that opens answers as it writes them in `model.chat_template`",
    )


def learnt_answers(messages: Sequence[Message], *, last_only: bool = False) -> list[int]:
    """Indices of the assistant's messages that say something and are to be learnt."""
    found = [
        index
        for index, message in enumerate(messages)
        if message["role"] == "assistant" and not message.get("seen_only")
    ]
    found = found[-1:] if last_only else found
    return [
        index
        for index in found
        if messages[index].get("weight") != 0
        and (messages[index]["content"].strip() or says_more(messages[index]))
    ]


def _opening(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    index: int,
    whole: str,
    given: Mapping[str, Any] | None,
) -> str:
    """The text up to an answer, as inference would write it."""
    if index:
        return render_template(tokenizer, messages[:index], ask=True, given=given)
    # The assistant opens the conversation. No template renders an empty one, so the words that open a
    # turn are those it would write next.
    words = render_template(tokenizer, messages[:1], ask=True, given=given).removeprefix(whole)
    before = whole.find(words + messages[0]["content"].strip())
    return whole[: before + len(words)] if before >= 0 else words


def _kept(tokenizer: PreTrainedTokenizerBase, whole: str, text: str) -> int:
    """How far a conversation's beginning stands in the whole conversation; -1 if more than marks differs."""
    if text.startswith(whole):
        return len(whole)
    same = _alike(whole, text)
    marks = marks_of(tokenizer)
    for mark in marks:  # a mark is the same as a whole, or not at all
        for place in range(max(0, same - len(mark) + 1), same):
            if whole.startswith(mark, place) or text.startswith(mark, place):
                same = min(same, place)
    rest = whole[same:]
    for mark in marks:
        rest = rest.replace(mark, "")
    return -1 if rest.strip() else same


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, whole: str, text: str, start: int, kept: int) -> int:
    end = len(whole[:kept].rstrip())
    if special_suffix(tokenizer, whole[start:end]):
        return end
    if kept < len(whole.rstrip()):  # the turn is closed by another mark than the conversation
        mark = next((mark for mark in marks_of(tokenizer) if text.startswith(mark, kept)), "")
        return kept + len(mark)
    return kept + _alike(whole[kept:], text[kept:])


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def plain_spans(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, last_only: bool = False
) -> tuple[str, list[Span]]:
    """The contents one after the other, without a template; answers end with the end-of-text token.

    The text opens with the beginning-of-text token where the tokenizer would put one.
    """
    _refuse_unwritten(messages)
    wanted = learnt_answers(messages, last_only=last_only)
    begins, ends = beginning_of(tokenizer), str(tokenizer.eos_token or "")
    text, spans = "" if begins and messages[0]["content"].startswith(begins) else begins, []
    for index, message in enumerate(messages):
        start = len(text)
        text += message["content"]
        if message["role"] == "assistant" and not (ends and text.endswith(ends)):
            text += ends
        if index in wanted:
            spans.append((start, len(text)))
    return text, spans


def beginning_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The token that the tokenizer puts before a text, if that is its beginning-of-text token."""
    first = tokenizer("")["input_ids"][:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""


def _refuse_unwritten(messages: Sequence[Message]) -> None:
    for message in messages:
        if says_more(message):
            raise Refused(
                "a message has reasoning or tool calls, which nothing writes without a chat template; "
                "take them out of the row, or give `model.chat_template`"
            )


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


def plain_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of plain text as the tokenizer opens it, without a second beginning-of-text token."""
    return encode_plain(tokenizer, text.removeprefix(beginning_of(tokenizer)))[0]


def encode_spans(
    tokenizer: PreTrainedTokenizerBase, text: str, spans: Sequence[Span]
) -> tuple[list[int], list[Span]]:
    """Like ``encode_plain`` without special tokens, but no token reaches across the start of a span.

    A tokenizer may merge the end of a prompt with the start of its answer (``": "`` and ``"yes"`` become
    ``":"`` and ``" yes"``). Inference has the prompt alone and never sees that token, so such a text is
    encoded in pieces that begin where the answers do.
    """
    ids, offsets = encode_plain(tokenizer, text, add_special_tokens=False)
    starts = [start for start, _ in spans]
    if not any(begin < start < end for start in starts for begin, end in offsets):
        return ids, offsets
    ids, offsets = [], []
    for begin, end in pairwise([0, *starts, len(text)]):
        piece, places = encode_plain(tokenizer, text[begin:end], add_special_tokens=False)
        ids += piece
        offsets += [(begin + first, begin + last) for first, last in places]
    return ids, offsets


def encode_plain(
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
