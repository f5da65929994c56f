"""A row on its way through cleaning: what the task gets, and what it is compared by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tunesmith.data.fingerprint import content_digest
from tunesmith.data.map.columns import GIVEN, Shape
from tunesmith.data.map.conversation import conversation, refuse_blank, template_arguments
from tunesmith.data.map.images import picture_of
from tunesmith.data.map.messages import Message, spelled, split_answer
from tunesmith.data.map.normalise import BadRow, comparable, comparable_lines, exactly, to_number
from tunesmith.data.read.raw import RawRow, RawRows
from tunesmith.data.row import Row, Skip


@dataclass(frozen=True, slots=True)
class MappedRow:
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


def map_rows(raw: RawRows, shape: Shape, source: int) -> tuple[list[MappedRow], list[Skip]]:
    """Every row in the terms of the task; those that have no such terms are skips."""
    samples: list[MappedRow] = []
    skips: list[Skip] = []
    for row in raw.rows:
        try:
            samples.append(_map_row(row, raw, shape, source))
        except BadRow as bad:
            skips.append(Skip(row.id, bad.reason, bad.detail))
    return samples, skips


def _map_row(raw: RawRow, source_rows: RawRows, shape: Shape, source: int) -> MappedRow:
    fields: dict[str, Any] = {}
    inputs: list[str] = []
    answers: list[str] = []
    exact: list[str] = []
    input_words = answer_words = ""
    if shape.chat:
        fields["messages"], input_words, answer_words = conversation(raw.columns, shape)
        before, after = split_answer(fields["messages"])
        fields |= template_arguments(raw.columns, shape.fields)
        beside = [_as_json({name: fields[name]}) for name in GIVEN if name in fields]
        inputs += [_spelled(before, comparable), *beside]
        answers.append(_spelled(after, exactly))
        exact += [_spelled(before, comparable_lines), *beside]
    if "text" in shape.fields:
        fields["text"], words = shape.fields["text"].render(raw.columns)
        refuse_blank(fields["text"], "text")
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
        refuse_blank(fields["label"], "label")
        answers.append(fields["label"])
    if "target" in shape.fields:
        fields["target"] = _target(raw.columns, shape)
        answers.append(fields["target"].hex())
    return MappedRow(
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


def _image_digest(image: Any) -> str:
    """Of a picture that Pillow opened elsewhere its pixels count, and they may not be readable."""
    try:
        return content_digest(image).hex()
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise BadRow("malformed", f"the image cannot be read: {error}"[:300]) from None


def _spelled(messages: Sequence[Message], spell: Callable[[str], str]) -> str:
    return _as_json([[turn["role"], spell(turn["content"]), *spelled(turn)] for turn in messages])


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _key(parts: Sequence[str]) -> bytes:
    return blake2b(json.dumps(parts).encode(), digest_size=16).digest()
