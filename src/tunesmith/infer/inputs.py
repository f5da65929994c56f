"""Rows of a file as questions to a model, mapped as the recipe maps its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunesmith.data.kinds.table import shown
from tunesmith.data.map.columns import Shape
from tunesmith.data.map.conversation import messages_of, template_arguments
from tunesmith.data.map.map_row import read_fields
from tunesmith.data.map.messages import Message, normalise_messages, split_answer
from tunesmith.data.map.normalise import BadRow, plain_text
from tunesmith.data.map.template import Template
from tunesmith.data.read.raw import RawRow, RawRows
from tunesmith.data.read.rows import read_rows
from tunesmith.data.read.unpack import PACKED
from tunesmith.data.row import Row
from tunesmith.errors import UserError
from tunesmith.infer.question_fields import Fields, choose_fields
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.fields import conversation_of
from tunesmith.recipe.tasks.spec import RowSchema

_SUFFIXES = (".json", ".csv", ".tsv", ".tab", ".parquet", ".pq", ".txt", ".text")


@dataclass(frozen=True, slots=True)
class Question:
    """What one row asks.

    Attributes:
        id: the row's own ``id`` if it has one, else file and line.
        messages: the conversation so far; ``None`` where there is none.
        text: the last thing said, or the text itself; of an image its path; of several fields each in a line.
        image: a path or pixels, ``None`` for text.
        reference: the right answer, if the row has one.
        columns: the row as it stands in the file.
        given: what the chat template takes beside the messages, such as ``tools``.
        row: the fields that ask, each as its kind reads it; ``None`` for a line of a chat.
    """

    id: str
    messages: list[Message] | None
    text: str
    image: Any
    reference: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class ParsedInputs:
    """A file of rows to be answered.

    Attributes:
        questions: in the order of the file.
        empty: where a row asks nothing, and why.
    """

    questions: Sequence[Question]
    empty: Sequence[tuple[str, str]]


def read_questions(path: Path, recipe: Recipe) -> ParsedInputs:
    """Read a file of rows to be answered, in the order of the file. Empty rows are told apart.

    A file is JSON Lines unless its ending says otherwise. Fields are those that the recipe names for its
    training rows where the file has their columns; else columns called like a field.

    Raises:
        UserError: the file is not there, is empty, has a malformed row, or lacks the columns.
    """
    raw = read_file(path, recipe)
    fields = choose_fields(recipe, raw.columns(), str(path))
    empty = [(raw.where(skip.id), skip.detail) for skip in raw.skips]
    questions = []
    for row in raw.rows:
        try:
            questions.append(_question(row, raw, fields))
        except BadRow as bad:
            if bad.reason != "empty":
                hint = "mend or delete the row"
                raise UserError(f"{bad.reason} row: {bad.detail}", raw.where(row.id), hint) from bad
            empty.append((raw.where(row.id), bad.detail))
    if not questions:
        raise UserError("every row of the file is empty", str(path), "give at least one row to answer")
    return ParsedInputs(questions, empty)


def read_file(path: Path, recipe: Recipe) -> RawRows:
    """The rows of a file, with the recipe's ``values`` applied; blank lines are its only skips.

    Raises:
        UserError: the file is not there, is empty, or has a malformed row.
    """
    if not path.exists():
        raise UserError(f"there is no file `{path}`", hint="check the path after `--input`")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    known = bool(suffixes) and suffixes[-1] in _SUFFIXES
    raw = read_rows(Rows(source=str(path.absolute()), format="auto" if known or path.is_dir() else "jsonl"))
    malformed = [skip for skip in raw.skips if skip.reason == "malformed"]
    if malformed:
        more = f" ({len(malformed) - 1} more rows are malformed)" if len(malformed) > 1 else ""
        hint = "mend or delete the row; no answer was generated"
        raise UserError(f"malformed row: {malformed[0].detail}{more}", raw.where(malformed[0].id), hint)
    if not raw.rows:
        raise UserError("the file holds no rows", str(path), "give at least one row to answer")
    values = _values(recipe)
    return replace(raw, rows=tuple(_rewritten(row, values) for row in raw.rows))


def _values(recipe: Recipe) -> dict[str, dict[str, str]]:
    merged: dict[str, dict[str, str]] = {}
    for column, mapping in (item for source in recipe.data.train for item in source.values.items()):
        merged.setdefault(column, {}).update(mapping)
    return merged


def _rewritten(row: RawRow, values: Mapping[str, Mapping[str, str]]) -> RawRow:
    """The row with the recipe's ``values`` applied; a value that training never saw stays as it is."""
    columns = row.columns.items()
    return RawRow(row.id, {name: values.get(name, {}).get(str(value), value) for name, value in columns})


def _question(row: RawRow, raw: RawRows, fields: Fields) -> Question:
    columns, templates = row.columns, fields.templates
    own = columns.get("id")
    name = str(own) if isinstance(own, str | int) and not isinstance(own, bool) else row.id
    right = _right_answer(fields.reference, columns)
    whole = conversation_of(fields.schema)
    if whole is None:
        return replace(_of_fields(name, row, raw, fields), reference=right, columns=columns)
    messages, answered = _messages(fields, columns)
    given = template_arguments(columns, templates)
    asked = Row(name, {whole.name: messages, **given}, fields.schema)
    said = right if answered is None else answered
    return Question(name, messages, messages[-1]["content"], None, said, columns, given, asked)


def _of_fields(name: str, row: RawRow, raw: RawRows, fields: Fields) -> Question:
    """A question that is no whole conversation: its fields, each read by its kind."""
    inputs = RowSchema(fields.schema.inputs)
    read = read_fields(inputs.fields, Shape((), fields.templates, inputs), row, raw)
    asked = Row(name, {one: found.value for one, found in read.items()}, inputs)
    by_kind = {inputs.kinds[one]: value for one, value in reversed(list(asked.fields.items()))}
    messages, picture = by_kind.get("chat"), by_kind.get("image")
    text = "\n".join(text for _, text, _ in shown(asked))
    if len(read) == 1:
        text = messages[-1]["content"] if messages else text
        text = name if picture is not None and not isinstance(picture, str) else text
    return Question(name, messages, text, picture, None, row=asked)


def _right_answer(reference: Template | None, columns: Mapping[str, Any]) -> Any:
    if reference is None:
        return None
    value = plain_text(reference.column.value(columns)) if reference.column else reference.render(columns)[0]
    return None if isinstance(value, list | tuple | dict) or value == "" else value


def _cell(template: Template, columns: Mapping[str, Any]) -> Any:
    return template.column.value(columns) if template.column is not None else None


def _text(field: Template, columns: Mapping[str, Any], name: str) -> str:
    text, _ = field.render(columns)
    if not text.strip():
        raise BadRow("empty", f"`{name}` is empty")
    return text


def _messages(fields: Fields, columns: Mapping[str, Any]) -> tuple[list[Message], str | None]:
    """The conversation up to the question, and the answer if the row's conversation goes on."""
    answered, asking, templates = None, fields.asking, fields.templates
    first = templates[asking[0]]
    if asking[0] in ("messages", "conversations"):
        if first.column is None:
            raise BadRow("malformed", f"`{asking[0]}` is a template, and needs to be a column")
        messages = normalise_messages(_cell(first, columns), first.column.name)
        if messages and messages[-1]["role"] == "assistant":
            before, after = split_answer(messages)
            messages, answered = list(before), after[0]["content"]
    elif (turns := messages_of(_cell(first, columns), first, asking[0], "user")) is not None:
        messages = turns
    else:
        parts = [_text(first, columns, asking[0])]
        parts += [extra for name in asking[1:] if (extra := templates[name].render(columns)[0]).strip()]
        messages = [{"role": "user", "content": "\n\n".join(parts)}]
    if not messages or messages[-1]["role"] not in ("user", "tool"):
        raise BadRow("malformed", "the conversation does not end with a user's message or a tool's")
    system = templates["system"].render(columns)[0] if "system" in templates else ""
    if system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return messages, answered
