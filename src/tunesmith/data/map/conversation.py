"""A row's conversation, from whichever columns make it, and what its chat template is given beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.data.map.columns import Shape
from tunesmith.data.map.messages import Message, mappings, normalise_messages, split_answer
from tunesmith.data.map.normalise import BadRow
from tunesmith.data.map.template import Template
from tunesmith.recipe.tasks.fields import GIVEN

_OURS = frozenset(
    """
    add_generation_prompt chat_template continue_final_message conversation documents max_length messages
    padding return_assistant_tokens_mask return_dict return_tensors sanitize_control_tokens tokenize
    tokenizer_kwargs
    tools truncation
    """.split()  # noqa: SIM905
)


def conversation(columns: Mapping[str, Any], shape: Shape) -> tuple[list[Message], str, str]:
    """The messages, and the words of the row itself in its input and in its answer.

    Raises:
        BadRow: the row holds no conversation.
    """
    fields = shape.fields
    system = fields["system"].render(columns)[0] if "system" in fields else ""
    whole = fields.get("messages") or fields.get("conversations")
    if whole is not None:
        messages, input_words, answer_words = _whole(columns, whole)
    else:
        messages, input_words, answer_words = _question_and_answer(columns, shape)
    if system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return messages, input_words, answer_words


def template_arguments(columns: Mapping[str, Any], fields: Mapping[str, Template]) -> dict[str, Any]:
    """What stands in ``tools``, ``documents`` and ``chat_template_kwargs``, where it is not empty.

    Raises:
        BadRow: a column holds something else.
    """
    given: dict[str, Any] = {}
    for name in GIVEN:
        slot = fields[name].column if name in fields else None
        value = slot.value(columns) if slot is not None else None
        if value is None or (isinstance(value, str | list | dict) and not value):
            continue
        assert slot is not None
        found = mappings(value, slot.name)
        if name != "chat_template_kwargs":
            given |= {name: found} if found else {}
        elif len(found) != 1 or _OURS & set(found[0]):
            raise BadRow("malformed", f"`{slot.name}` is not a mapping of further names to values")
        else:
            given[name] = found[0]
    return given


def messages_of(value: Any, template: Template, field: str, role: str) -> list[Message] | None:
    """Messages where a field's column holds a list of them, else ``None``: then it is text.

    Raises:
        BadRow: the list is no conversation, or has none of the role's messages.
    """
    slot = template.column
    if slot is None or not isinstance(value, list | tuple):
        return None
    messages = normalise_messages(list(value), slot.name)
    if role == "assistant" and not any(turn["role"] == role for turn in messages):
        raise BadRow("empty", f"`{field}` holds no message of the assistant")
    return messages


def _whole(columns: Mapping[str, Any], field: Template) -> tuple[list[Message], str, str]:
    slot = field.column
    assert slot is not None, "choose_shape lets only columns through"
    messages = normalise_messages(slot.value(columns), slot.name)
    if not messages:
        raise BadRow("empty", f"`{slot.name}` is empty")
    before, after = split_answer(messages)
    return messages, words_of(before), words_of(after)


def _question_and_answer(columns: Mapping[str, Any], shape: Shape) -> tuple[list[Message], str, str]:
    asked, answered = ("prompt", "completion") if "prompt" in shape.chat else ("instruction", "output")
    question, input_words = _side(columns, shape.fields[asked], asked, "user")
    if "input" in shape.chat:
        extra, extra_words = shape.fields["input"].render(columns)
        if extra.strip():
            question[-1]["content"] += f"\n\n{extra}"
            input_words = f"{input_words} {extra_words}"
    answer, answer_words = _side(columns, shape.fields[answered], answered, "assistant")
    # what an assistant says in a prompt is not to be learnt
    seen = [{**turn, "seen_only": True} if turn["role"] == "assistant" else turn for turn in question]
    return [*seen, *answer], input_words, answer_words


def _side(columns: Mapping[str, Any], template: Template, field: str, role: str) -> tuple[list[Message], str]:
    value = template.column.value(columns) if template.column is not None else None
    messages = messages_of(value, template, field, role)
    if messages is not None:
        return messages, words_of(messages)
    text, words = template.render(columns)
    refuse_blank(text, field)
    return [{"role": role, "content": text}], words


def refuse_blank(text: str, field: str) -> None:
    """Make sure that a field holds text.

    Raises:
        BadRow: it is blank.
    """
    if not text.strip():
        raise BadRow("empty", f"`{field}` is empty")


def words_of(messages: Sequence[Message]) -> str:
    """What was said, system messages aside."""
    return " ".join(turn["content"] for turn in messages if turn["role"] != "system")
