"""Conversations of several spellings, made one: a list of messages with ``role``, ``content`` and more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.data.map.normalise import BadRow, to_text

Message = dict[str, Any]

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
REASONING = ("reasoning_content", "reasoning", "thinking")
"""The names under which a message holds what was thought before the answer."""
_SAYS = (*REASONING, "tool_calls", "name", "weight")
_WEIGHTS = ("weight", "train", "training")
_NOT_UNDERSTOOD = {
    "function_call": "write it as `tool_calls`",
    "train_detail": "say `weight: 0` or `weight: 1` of a whole message",
    "loss_mask": "say `weight: 0` or `weight: 1` of a whole message",
    "mask": "say `weight: 0` or `weight: 1` of a whole message",
    "images": "only text is learnt from",
    "audio": "only text is learnt from",
}


def normalise_messages(value: Any, column: str) -> list[Message]:
    """Read ``role``/``content`` or ``from``/``value`` messages, also written as JSON text in a cell.

    A blank system message is left out. What else a message holds (reasoning, tool calls, a name) stays, for
    the chat template; ``weight: 0`` or ``train: false`` is kept as ``weight: 0``.

    Raises:
        BadRow: it is no conversation, a role is unknown, or a turn is blank.
    """
    if value is None or value in ("", []):
        raise BadRow("empty", f"`{column}` is empty")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRow("malformed", f"`{column}` is text, not a list of messages") from None
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise BadRow("malformed", f"`{column}` is not a list of messages")
    turns = [_message(turn, f"message {number} of `{column}`") for number, turn in enumerate(value, 1)]
    return [turn for turn in turns if turn["content"] or turn["role"] != "system"]


def _message(turn: Any, name: str) -> Message:
    if not isinstance(turn, Mapping):
        raise BadRow("malformed", f"{name} is not a mapping")
    spelling = ("role", "content") if "role" in turn else ("from", "value")
    said, content = turn.get(spelling[0]), turn.get(spelling[1])
    if said is None or (spelling[1] not in turn and not turn.get("tool_calls")):
        raise BadRow("malformed", f"{name} has neither `role` and `content` nor `from` and `value`")
    role = _ROLES.get(str(said).strip().lower())
    if role is None:
        raise BadRow("malformed", f"{name} has the unknown role `{said}`; known are {', '.join(_ROLES)}")
    more = _more({key: part for key, part in turn.items() if key not in spelling}, role, name)
    text = _content(content, name)
    if not text.strip():
        if role != "system" and not says_more(more):
            raise BadRow("empty", f"{name} ({role}) is blank")
        text = ""
    return {"role": role, "content": text, **more}


def _more(rest: Mapping[str, Any], role: str, name: str) -> dict[str, Any]:
    """What a message holds beside role and content, without what is empty."""
    plain = (str, int, float, list, dict)
    given = {
        str(key): part if isinstance(part, plain) else str(part)
        for key, part in rest.items()
        if not _is_nothing(part)
    }
    for key, way in _NOT_UNDERSTOOD.items():
        if key in given:
            raise BadRow("malformed", f"{name} has `{key}`, which is not understood; {way}")
    weights = {key: given.pop(key) for key in _WEIGHTS if key in given}
    for key, weight in weights.items():
        if weight not in (0, 1):
            raise BadRow("malformed", f"`{key}` of {name} is {weight!r}; only 0 and 1 are understood")
        if weight and role != "assistant":
            raise BadRow("malformed", f"{name} ({role}) asks for loss; only answers carry it")
    if not all(weights.values()) and role == "assistant":
        given["weight"] = 0
    for key in REASONING:
        if key in given:
            given[key] = to_text(given[key], f"{key}` of `{name}")
    if "tool_calls" in given:
        given["tool_calls"] = _tool_calls(given["tool_calls"], name)
    return given


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict | tuple) and not value)


def _tool_calls(value: Any, name: str) -> list[dict[str, Any]]:
    """Calls whose arguments are mappings, as templates expect them; some write them as JSON text."""
    calls = mappings(value, f"tool_calls` of `{name}")
    for call in calls:
        inner = call.get("function", call)
        if not isinstance(inner, Mapping) or not inner.get("name"):
            raise BadRow("malformed", f"a tool call of {name} names no function")
        arguments = inner.get("arguments")
        if isinstance(arguments, str):
            parsed = _parsed(arguments)
            inner = {**inner, "arguments": parsed if isinstance(parsed, dict) else arguments}
        if "function" in call:
            call["function"] = dict(inner)
        else:
            call.update(inner)
    return calls


def mappings(value: Any, column: str) -> list[dict[str, Any]]:
    """A list of mappings, also written as JSON text in a cell.

    Raises:
        BadRow: it is none.
    """
    found = _parsed(value) if isinstance(value, str) else value
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, list | tuple) or not all(isinstance(one, Mapping) for one in found):
        raise BadRow("malformed", f"`{column}` is not a list of mappings")
    return [dict(one) for one in found]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def says_more(message: Mapping[str, Any]) -> bool:
    """Whether a message says something beside its content: it calls a tool, or reasons."""
    return any(message.get(key) for key in ("tool_calls", *REASONING))


def spelled(message: Message) -> list[Any]:
    """What two messages are told apart by, beside role and content."""
    return [[key, message[key]] for key in _SAYS if key in message]


def _content(content: Any, name: str) -> str:
    if not isinstance(content, list):
        return to_text(content, name)
    texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(texts) != len(content):
        raise BadRow("malformed", f"{name} has parts that are not text")
    return "".join(to_text(text, name) for text in texts)


def split_answer(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """What comes before the last assistant message, and the rest; all is input if there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "assistant":
            return messages[:index], messages[index:]
    return messages, []
