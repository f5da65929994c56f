"""A conversation, or one side of one: messages with ``role`` and ``content``."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from tunesmith.data.map.conversation import conversation, messages_of, refuse_blank, words_of
from tunesmith.data.map.kind import Cell, Found, Kind, Spell, as_json
from tunesmith.data.map.messages import Message, spelled, split_answer
from tunesmith.recipe.tasks.fields import is_conversation


def _read(cell: Cell) -> Found:
    if is_conversation(cell.field):
        return Found(*conversation(cell.columns, cell.shape))
    answers = cell.field in cell.shape.schema.targets
    role = "assistant" if answers else "user"
    template = cell.shape.fields[cell.field.name]
    value = template.column.value(cell.columns) if template.column is not None else None
    messages, words = messages_of(value, template, cell.field.name, role), ""
    if messages is None:
        text, words = template.render(cell.columns)
        refuse_blank(text, cell.field.name)
        messages = [{"role": role, "content": text}]
    else:
        words = words_of(messages)
    return Found(_with_system(cell, messages), words)


def _with_system(cell: Cell, messages: list[Message]) -> list[Message]:
    """The first side that is given opens with the row's system message."""
    first = next((one for one in cell.shape.schema.inputs if one.kind == "chat"), None)
    if cell.field != first or "system" not in cell.shape.fields or messages[0]["role"] == "system":
        return messages
    system = cell.shape.fields["system"].render(cell.columns)[0]
    return [{"role": "system", "content": system}, *messages] if system.strip() else messages


def _spell(value: Sequence[Message], how: Spell) -> str:
    return as_json([[turn["role"], how(turn["content"]), *spelled(turn)] for turn in value])


def _show(value: Sequence[Message]) -> str:
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in value)


def _texts(value: Sequence[Message]) -> list[str]:
    return [str(turn["content"]) for turn in value]


def _stratum(value: Sequence[Message]) -> Hashable:
    return str(value[-1]["content"]) if value else 0


def _split(value: Any) -> tuple[Any, Any]:
    return split_answer(value)


CHAT = Kind(name="chat", read=_read, spell=_spell, show=_show, split=_split, texts=_texts, stratum=_stratum)
