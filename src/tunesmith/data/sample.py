"""A row on its way through cleaning: what the task gets, and what it is compared by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tunesmith.data.digest import content_digest
from tunesmith.data.messages import Message, normalise_messages, split_answer
from tunesmith.data.pictures import picture_of
from tunesmith.data.raw import RawRow, RawRows
from tunesmith.data.row import Row, Skip
from tunesmith.data.shapes import Shape
from tunesmith.data.template import Template
from tunesmith.data.text import BadRow, comparable, comparable_lines, exactly, to_number


@dataclass(frozen=True, slots=True)
class Sample:
    """A mapped row.

    Attributes:
        row: what the task gets.
        place: path and line, for messages.
        source: number of its source in the recipe.
        columns: the row as read, for ``stratify``.
        input_key: digest of what the model is given, with every run of blanks one blank: rows with the same
            one belong on the same side of a split.
        answer_key: digest of what it is to learn from it, as it stands there.
        same_key: digest of both, with indentation and line ends; rows with the same one are duplicates.
        input_words: what the row itself says in the input: the words of templates and system prompts,
            which all rows share, are left out.
        answer_words: the same of the answer; labels and numbers are left out.
    """

    row: Row
    place: str
    source: int
    columns: Mapping[str, Any]
    input_key: bytes
    answer_key: bytes
    same_key: bytes
    input_words: str
    answer_words: str


def map_rows(raw: RawRows, shape: Shape, source: int) -> tuple[list[Sample], list[Skip]]:
    """Every row in the terms of the task; those that have no such terms are skips."""
    samples: list[Sample] = []
    skips: list[Skip] = []
    for row in raw.rows:
        try:
            samples.append(_map_row(row, raw, shape, source))
        except BadRow as bad:
            skips.append(Skip(row.id, bad.reason, bad.detail))
    return samples, skips


def _map_row(raw: RawRow, source_rows: RawRows, shape: Shape, source: int) -> Sample:
    fields: dict[str, Any] = {}
    inputs: list[str] = []
    answers: list[str] = []
    exact: list[str] = []
    input_words = answer_words = ""
    if shape.chat:
        fields["messages"], input_words, answer_words = _conversation(raw.columns, shape)
        before, after = split_answer(fields["messages"])
        inputs.append(_spelled(before, comparable))
        answers.append(_spelled(after, exactly))
        exact.append(_spelled(before, comparable_lines))
    if "text" in shape.fields:
        fields["text"], words = shape.fields["text"].render(raw.columns)
        _refuse_blank(fields["text"], "text")
        inputs.append(comparable(fields["text"]))
        # text without an answer is itself what is learnt
        alone = not {"label", "target"} & set(shape.fields)
        exact.append((exactly if alone else comparable_lines)(fields["text"]))
        input_words = f"{input_words} {words}".strip()
    if "image" in shape.fields:
        fields["image"] = _image(raw.columns, shape, source_rows, raw.id)
        inputs.append(_image_digest(fields["image"]))
        exact.append(inputs[-1])
    if "label" in shape.fields:
        # one spelling of what looks and means the same: composed Unicode, single blanks
        fields["label"] = comparable(shape.fields["label"].render(raw.columns)[0])
        _refuse_blank(fields["label"], "label")
        answers.append(fields["label"])
    if "target" in shape.fields:
        fields["target"] = _target(raw.columns, shape)
        answers.append(fields["target"].hex())
    return Sample(
        Row(raw.id, fields),
        source_rows.where(raw.id),
        source,
        raw.columns,
        input_key=_key(inputs),
        answer_key=_key(answers),
        same_key=_key([*exact, *answers]),
        input_words=input_words,
        answer_words=answer_words,
    )


def _conversation(columns: Mapping[str, Any], shape: Shape) -> tuple[list[Message], str, str]:
    fields = shape.fields
    system = fields["system"].render(columns)[0] if "system" in fields else ""
    whole = fields.get("messages") or fields.get("conversations")
    if whole is not None:
        messages, input_words, answer_words = _whole_conversation(columns, whole)
    else:
        messages, input_words, answer_words = _question_and_answer(columns, shape)
    if system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return messages, input_words, answer_words


def _whole_conversation(columns: Mapping[str, Any], field: Template) -> tuple[list[Message], str, str]:
    slot = field.column
    assert slot is not None, "choose_shape lets only columns through"
    messages = normalise_messages(slot.value(columns), slot.name)
    if not messages:
        raise BadRow("empty", f"`{slot.name}` is empty")
    before, after = split_answer(messages)
    return messages, _words(before), _words(after)


def _question_and_answer(columns: Mapping[str, Any], shape: Shape) -> tuple[list[Message], str, str]:
    asked, answered = ("prompt", "completion") if "prompt" in shape.chat else ("instruction", "output")
    question, input_words = shape.fields[asked].render(columns)
    _refuse_blank(question, asked)
    if "input" in shape.chat:
        extra, extra_words = shape.fields["input"].render(columns)
        if extra.strip():
            question = f"{question}\n\n{extra}"
            input_words = f"{input_words} {extra_words}"
    answer, answer_words = shape.fields[answered].render(columns)
    _refuse_blank(answer, answered)
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages, input_words, answer_words


def _target(columns: Mapping[str, Any], shape: Shape) -> float:
    template = shape.fields["target"]
    slot = template.column
    return to_number(
        slot.value(columns) if slot else template.render(columns)[0], slot.name if slot else "target"
    )


def _image(columns: Mapping[str, Any], shape: Shape, source_rows: RawRows, row_id: str) -> Any:
    template = shape.fields["image"]
    slot = template.column
    value = slot.value(columns) if slot else template.render(columns)[0]
    return picture_of(value, source_rows.folder_of(row_id), source_rows.roots)


def _refuse_blank(text: str, field: str) -> None:
    if not text.strip():
        raise BadRow("empty", f"`{field}` is empty")


def _words(messages: Sequence[Message]) -> str:
    return " ".join(turn["content"] for turn in messages if turn["role"] != "system")


def _image_digest(image: Any) -> str:
    """Of a picture that Pillow opened elsewhere its pixels count, and they may not be readable."""
    try:
        return content_digest(image).hex()
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise BadRow("malformed", f"the image cannot be read: {error}"[:300]) from None


def _spelled(messages: Sequence[Message], spell: Callable[[str], str]) -> str:
    return json.dumps([[turn["role"], spell(turn["content"])] for turn in messages], ensure_ascii=False)


def _key(parts: Sequence[str]) -> bytes:
    return blake2b(json.dumps(parts).encode(), digest_size=16).digest()
