"""A conversation as its chat template writes it, and whether the template wrote all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tunesmith.data.map.messages import REASONING
from tunesmith.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]
_OURS = ("weight", "seen_only")


class Refused(UserError):
    """The chat template refuses this conversation, or leaves out a part of it that matters."""


def render_template(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    ask: bool = False,
    given: Mapping[str, Any] | None = None,
) -> str:
    """The conversation as its chat template writes it; ``ask`` adds the opening of the next answer.

    Args:
        tokenizer: with its chat template settled.
        messages: of the row.
        ask: whether an answer is to follow.
        given: what the template takes beside the messages: ``tools``, ``documents``, and further names.

    Raises:
        Refused: if the template refuses the conversation.
        UserError: if the tokenizer has no chat template.
    """
    if not tokenizer.chat_template:
        raise UserError(
            "the tokenizer has no chat template, and the rows are conversations",
            hint="set `model.chat_template` to a template or its path, or to `none` to join prompt and "
            "completion as plain text",
        )
    words = names_in(tokenizer)
    turns = [_for_template(message, words) for message in messages]
    more = {**(given or {})}
    options: dict[str, Any] = {**more.pop("chat_template_kwargs", {}), **more}
    options |= {"tokenize": False, "add_generation_prompt": ask}
    try:
        try:
            return str(tokenizer.apply_chat_template(turns, **options))
        except TypeError:  # some templates take the arguments of a call as text only
            if not any(turn.get("tool_calls") for turn in turns):
                raise
            return str(tokenizer.apply_chat_template([_as_text(turn) for turn in turns], **options))
    except Exception as error:  # jinja's errors and the templates' own `raise_exception` have no common base
        raise Refused(f"the chat template refuses the conversation: {error}") from error


def names_in(tokenizer: PreTrainedTokenizerBase) -> frozenset[str]:
    """Every word of the chat template; a name that is none of them cannot be written by it."""
    template = tokenizer.chat_template
    return _words(
        "\n".join(map(str, template.values())) if isinstance(template, dict) else str(template or "")
    )


@lru_cache(maxsize=8)
def _words(template: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", template))


def unwritten_keys(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> set[str]:
    """What messages hold beside role, content and reasoning that the template has no word for."""
    held = {key for message in messages for key in message}
    known = {"role", "content", *_OURS, *REASONING}
    return held - known - names_in(tokenizer)


def refuse_left_out(messages: Sequence[Message], text: str, given: Mapping[str, Any]) -> None:
    """Make sure that what a model is to read stands in the text, whatever the answers.

    Raises:
        Refused: if a message of the system, a user or a tool, or the functions or documents are left out.
    """
    for number, message in enumerate(messages, 1):
        if message["role"] != "assistant" and not stands_in(message["content"], text):
            raise Refused(
                f"the chat template leaves out message {number} ({message['role']}) or a part of it; "
                "take it out of the row, or give a template that writes it in `model.chat_template`"
            )
    for name in ("tools", "documents"):
        if not all(stands_in(each, text) for one in given.get(name, ()) for each in _named(one)):
            raise Refused(
                f"the chat template does not write `{name}`; take the column away (`messages: COLUMN` in "
                "`data` names the others alone), or give a template that writes it in `model.chat_template`"
            )


def refuse_cut(message: Message, turn: str) -> None:
    """Make sure that all of an answer stands in its turn.

    Raises:
        Refused: if the template leaves out its reasoning, a call of a tool, or a part of its content.
    """
    way = "take it out of the row, or give a template that writes it in `model.chat_template`"
    for key in REASONING:
        if key in message and not stands_in(message[key], turn):
            raise Refused(f"the chat template does not write the `{key}` of an answer that is learnt; {way}")
    for call in message.get("tool_calls", ()):
        if not all(stands_in(each, turn) for each in _strings(call.get("function", call))):
            raise Refused(f"the chat template does not write a call in `tool_calls`; {way}")
    if not stands_in(message["content"], turn):
        cut = message["content"].strip()
        raise Refused(
            f"the chat template leaves out a part of an answer that is to be learnt, {cut[:60]!r}; {way}"
        )


def stands_in(said: str, text: str) -> bool:
    """Whether a text holds all of what was said, blanks aside, as it is or as JSON spells it."""
    if said.strip() in text:
        return True
    bare, within = "".join(said.split()), "".join(text.split())
    return (
        bare in within
        or "".join(json.dumps(said, ensure_ascii=False)[1:-1].split()) in within
        or (_pieces(bare, within))
    )


def _pieces(bare: str, within: str) -> bool:
    """Whether thoughts and what follows them stand there in order, with other marks around the thoughts."""
    parts = [part for part in re.split(r"</?think>", bare) if part]
    place = 0
    for part in parts:
        place = within.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return len(parts) > 1


def _named(one: Mapping[str, Any]) -> list[str]:
    """What of a function or a document must be found again: names for the first, texts for the other."""
    function = one.get("function", one)
    if isinstance(function, Mapping) and "name" in function:
        return [str(function["name"])]
    texts = [one[name] for name in ("title", "text", "content", "contents") if name in one]
    return [text for text in texts or one.values() if isinstance(text, str)]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _strings(part)
            if key not in ("name", "arguments"):
                yield str(key)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)


def _for_template(message: Message, words: frozenset[str]) -> dict[str, Any]:
    """The message without our own marks, its reasoning under a name that the template knows."""
    told = {key: part for key, part in message.items() if key not in _OURS}
    known = [name for name in REASONING if name in words]
    for key in REASONING:
        if key in told and key not in words and known:
            told.setdefault(known[0], told.pop(key))
    return told


def _as_text(turn: Mapping[str, Any]) -> dict[str, Any]:
    calls = []
    for call in turn.get("tool_calls", ()):
        inner = dict(call.get("function", call))
        if isinstance(inner.get("arguments"), Mapping):
            inner["arguments"] = json.dumps(inner["arguments"], ensure_ascii=False)
        calls.append({**call, "function": inner} if "function" in call else inner)
    return {**turn, "tool_calls": calls} if calls else dict(turn)
