"""Conversations of several spellings, made one: a list of ``{"role", "content"}``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.data.text import BadRow, to_text

Message = dict[str, str]

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
}


def normalise_messages(value: Any, column: str) -> list[Message]:
    """Read ``role``/``content`` or ``from``/``value`` messages, also written as JSON text in a cell.

    A blank system message is left out. Roles and contents alone are kept.

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
    if said is None or spelling[1] not in turn:
        raise BadRow("malformed", f"{name} has neither `role` and `content` nor `from` and `value`")
    role = _ROLES.get(str(said).strip().lower())
    if role is None:
        raise BadRow("malformed", f"{name} has the unknown role `{said}`; known are {', '.join(_ROLES)}")
    if turn.get("tool_calls"):
        raise BadRow("malformed", f"{name} has tool calls, which are not supported")
    text = _content(content, name)
    if not text.strip():
        if role != "system":
            raise BadRow("empty", f"{name} ({role}) is blank")
        text = ""
    return {"role": role, "content": text}


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
