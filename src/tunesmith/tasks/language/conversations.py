"""A row with a conversation as tokens, and what its last answer is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from tunesmith.data.map.messages import Message
from tunesmith.data.row import Row
from tunesmith.model.end_tokens import end_tokens_of
from tunesmith.recipe.tasks.fields import GIVEN
from tunesmith.tasks.language import chat
from tunesmith.tasks.language.answer_frame import Frame, decoded
from tunesmith.tasks.language.rendering import Refused

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

End = Literal["learnt", "added", "open", "inside"]
_WORST: tuple[End, ...] = ("open", "added", "inside", "learnt")


@dataclass(frozen=True, slots=True)
class EncodedConversation:
    """A conversation, or plain text, as tokens.

    Attributes:
        ids: token ids.
        marks: which of them (1) carry loss.
        prompt: how many of them stand before the last answer.
        reference: that answer as text, without the template's own words around it.
        frame: those words.
        end: whether answers end with a token that ends an answer: ``learnt``; ``added`` where the end token
            was put behind the last one; ``open`` where one does not; ``inside`` where one holds such a token
            before its end.
    """

    ids: list[int]
    marks: list[int]
    prompt: int
    reference: str
    frame: Frame
    end: End


def encode_text_row(tokenizer: PreTrainedTokenizerBase, text: str) -> EncodedConversation:
    """Plain text, with loss on all of it and the end-of-text token behind it."""
    ids, eos = chat.plain_tokens(tokenizer, text), tokenizer.eos_token_id
    if eos is not None and ids[-1:] != [eos]:
        ids.append(eos)
    end: End = "learnt" if eos is not None else "open"
    return EncodedConversation(ids, [0] + [1] * (len(ids) - 1), 1, "", Frame(), end)


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase, row: Row, *, template: bool, loss_on: str
) -> EncodedConversation:
    """A conversation, through the chat template or joined as it is.

    Raises:
        Refused: if the template refuses the row, or leaves out a part of it.
        UserError: if the template cannot be learnt from.
    """
    messages: list[Message] = row.fields["messages"]
    given = {name: row.fields[name] for name in GIVEN if name in row.fields}
    if loss_on == "all" and any(message.get("weight") == 0 for message in messages):
        raise Refused("a message says that it carries no loss, and `data.loss_on` is `all`")
    if template:
        text, spans = chat.assistant_spans(tokenizer, messages, last_only=loss_on != "assistant", given=given)
    elif given:
        raise Refused(f"nothing writes `{next(iter(given))}` without a chat template; take the column away")
    else:
        text, spans = chat.plain_spans(tokenizer, messages, last_only=loss_on != "assistant")
    ids, offsets = chat.encode_spans(tokenizer, text, spans)
    marks = chat.supervised_tokens(offsets, spans)
    last = chat.supervised_tokens(offsets, spans[-1:])
    if 1 not in last:
        return EncodedConversation(ids, marks, len(ids), "", Frame(), "open")
    ends = _ends(tokenizer, str(tokenizer.chat_template), tokenizer.eos_token)
    answers = [_marked(ids, chat.supervised_tokens(offsets, [span])) for span in spans]
    each = [_end(tokenizer, one, ends) for one in answers]
    closes = chat.learnt_answers(messages)[-1] == len(messages) - 1
    if each[-1] == "open" and closes and tokenizer.eos_token_id is not None:
        first = last.index(1)
        last = last[:first] + [1] * (len(ids) - first + 1)
        ids, marks, each[-1] = [*ids, tokenizer.eos_token_id], [*marks[:first], *last[first:]], "added"
    end = min(each, key=_WORST.index)
    prompt = last.index(1)
    answer = list(takewhile(lambda token: token not in ends, _marked(ids, last)))
    reference, frame = _reference(tokenizer, messages, answer)
    if loss_on == "all":
        marks = [0] + [1] * (len(ids) - 1)
    return EncodedConversation(ids, marks, prompt, reference, frame, end)


def _reference(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    answer: Sequence[int],
) -> tuple[str, Frame]:
    """What the tokens of an answer say, and the template's words around it.

    The tokens are decoded as a generated answer is: a model that gives all of them has given the reference.
    """
    said, whole = messages[chat.learnt_answers(messages)[-1]], decoded(tokenizer, answer)
    content = said["content"].strip()
    place = whole.rfind(content) if content else -1
    if place < 0:
        return whole, Frame()
    closing = "" if said.get("tool_calls") else whole[place + len(content) :].strip()
    end = place + len(content) if closing else len(whole)
    body = whole[place:end].strip()
    return body, Frame(whole[:place].strip(), closing)


def _end(tokenizer: PreTrainedTokenizerBase, answer: Sequence[int], ends: frozenset[int]) -> End:
    """How an answer ends, by its tokens."""
    if not answer or answer[-1] not in ends:
        return "open"
    behind = answer[len(list(takewhile(lambda token: token not in ends, answer))) :]
    return "inside" if decoded(tokenizer, [token for token in behind if token not in ends]) else "learnt"


def _marked(ids: Sequence[int], marks: Sequence[int]) -> list[int]:
    return [token for token, mark in zip(ids, marks, strict=True) if mark]


@lru_cache(maxsize=8)
def _ends(tokenizer: Any, template: str, eos: str | None) -> frozenset[int]:
    """Known by template and end token too, as both can be changed on a tokenizer."""
    return frozenset(end_tokens_of(tokenizer))
