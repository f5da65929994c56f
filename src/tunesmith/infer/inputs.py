"""Rows of a file as questions to a model, mapped as the recipe maps its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunesmith.data.eval_splits import own_sources
from tunesmith.data.map.conversation import messages_of, template_arguments
from tunesmith.data.map.images import picture_of
from tunesmith.data.map.messages import Message, normalise_messages, split_answer
from tunesmith.data.map.normalise import BadRow, plain_text
from tunesmith.data.map.template import Template, parse_field
from tunesmith.data.read.raw import RawRow, RawRows
from tunesmith.data.read.rows import read_rows
from tunesmith.data.read.unpack import PACKED
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.fields import GIVEN, questions_of
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.suggest import listed


@dataclass(frozen=True, slots=True)
class Fields:
    """Which columns of a file ask, and which one answers.

    Attributes:
        asking: the fields that make the question, one of ``questions_of``.
        templates: those fields, ``system`` if there is one, and what a chat template takes beside.
        reference: the field of the right answer, if there is one.
    """

    asking: tuple[str, ...]
    templates: Mapping[str, Template]
    reference: Template | None


ANSWERING = ("reference", "completion", "output", "label", "target")
_SUFFIXES = (".json", ".csv", ".tsv", ".tab", ".parquet", ".pq", ".txt", ".text")


@dataclass(frozen=True, slots=True)
class Question:
    """What one row asks.

    Attributes:
        id: the row's own ``id`` if it has one, else file and line.
        messages: the conversation so far; ``None`` for plain text and images.
        text: the last thing said, or the text itself; of an image its path.
        image: a path or pixels, ``None`` for text.
        reference: the right answer, if the row has one.
        columns: the row as it stands in the file.
        given: what the chat template takes beside the messages, such as ``tools``.
    """

    id: str
    messages: list[Message] | None
    text: str
    image: Any
    reference: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


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


def choose_fields(recipe: Recipe, columns: Sequence[str], where: str) -> Fields:
    """Which columns ask and which one answers: as the recipe names them, else by their own names.

    Raises:
        UserError: no set of fields fits the columns; the message names what there is.
    """
    sources = [*recipe.data.train, *own_sources(recipe.data, recipe.eval).values()]
    for source in sources:
        for asking in questions_of(spec_of(recipe.task).row_schema):
            specs = {name: spec for name in asking if (spec := source.mapped.get(name)) is not None}
            found = _parsed(specs, columns)
            if len(specs) == len(asking) and found is not None:
                return Fields(asking, found | _beside(source, columns), _reference(source, columns))
    for asking in questions_of(spec_of(recipe.task).row_schema):
        if set(asking) <= set(columns):
            named = {name: parse_field(name, columns, name) for name in asking}
            first = sources[0]
            return Fields(asking, named | _beside(first, columns), _reference(first, columns))
    raise _no_fields(recipe, sources, columns, where)


def _parsed(specs: Mapping[str, str], columns: Sequence[str]) -> dict[str, Template] | None:
    try:
        return {name: parse_field(spec, columns, name) for name, spec in specs.items()}
    except UserError:
        return None  # the file lacks these columns; it may have others that serve


def _system(source: Rows, columns: Sequence[str]) -> dict[str, Template]:
    """The system message: the row's own if it has one, else what the model was trained with."""
    if "system" in columns:
        return {"system": parse_field("{system}", columns, "system")}
    if source.system is None:
        return {}
    return {"system": parse_field(source.system, columns, "system", literal=True)}


def _beside(source: Rows, columns: Sequence[str]) -> dict[str, Template]:
    """The system message, and what the chat template takes beside the messages."""
    specs = {name: getattr(source, name) or name for name in GIVEN}
    given = {name: spec for name, spec in specs.items() if spec in columns}
    return _system(source, columns) | {name: parse_field(spec, columns, name) for name, spec in given.items()}


def _reference(source: Rows, columns: Sequence[str]) -> Template | None:
    for name in ANSWERING:
        spec = getattr(source, name, None)
        found = _parsed({name: spec}, columns) if spec is not None else None
        if found is not None:
            return found[name]
    known = next((name for name in ANSWERING if name in columns), None)
    return parse_field(known, columns, known) if known is not None else None


def _no_fields(recipe: Recipe, sources: Sequence[Rows], columns: Sequence[str], where: str) -> UserError:
    asked = [name for way in questions_of(spec_of(recipe.task).row_schema) for name in way]
    named = {f"{name}: {getattr(sources[0], name)}": None for name in asked if getattr(sources[0], name)}
    mapping = f"the recipe maps {listed(list(named))}" if named else "the recipe maps no columns"
    return UserError(
        f"no column says what to ask: {mapping}, and the file has {listed(list(columns), 20)}",
        where,
        f"give the file the columns that the recipe names, or one of {listed(list(dict.fromkeys(asked)))}",
    )


def _values(recipe: Recipe) -> dict[str, dict[str, str]]:
    merged: dict[str, dict[str, str]] = {}
    for source in recipe.data.train:
        for column, mapping in source.values.items():
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
    if fields.asking == ("image",):
        found = _image_question(name, templates["image"], columns, raw.folder, right)
    elif fields.asking == ("text",):
        found = Question(name, None, _text(templates["text"], columns, "text"), None, right)
    else:
        messages, answered = _messages(fields, columns)
        said = right if answered is None else answered
        given = template_arguments(columns, templates)
        found = Question(name, messages, messages[-1]["content"], None, said, given=given)
    return replace(found, columns=columns)


def _right_answer(reference: Template | None, columns: Mapping[str, Any]) -> Any:
    if reference is None:
        return None
    value = plain_text(reference.column.value(columns)) if reference.column else reference.render(columns)[0]
    return None if isinstance(value, list | tuple | dict) or value == "" else value


def _image_question(
    name: str, field: Template, columns: Mapping[str, Any], folder: Path | None, right: Any
) -> Question:
    value = field.column.value(columns) if field.column else field.render(columns)[0]
    picture = picture_of(value, folder)
    return Question(name, None, picture if isinstance(picture, str) else name, picture, right)


def _text(field: Template, columns: Mapping[str, Any], name: str) -> str:
    text, _ = field.render(columns)
    if not text.strip():
        raise BadRow("empty", f"`{name}` is empty")
    return text


def _listed(template: Template, columns: Mapping[str, Any], field: str) -> list[Message] | None:
    value = template.column.value(columns) if template.column is not None else None
    return messages_of(value, template, field, "user")


def _messages(fields: Fields, columns: Mapping[str, Any]) -> tuple[list[Message], str | None]:
    """The conversation up to the question, and the answer if the row's conversation goes on."""
    answered, asking, templates = None, fields.asking, fields.templates
    if asking[0] in ("messages", "conversations"):
        slot = templates[asking[0]].column
        if slot is None:
            raise BadRow("malformed", f"`{asking[0]}` is a template, and needs to be a column")
        messages = normalise_messages(slot.value(columns), slot.name)
        if messages and messages[-1]["role"] == "assistant":
            before, after = split_answer(messages)
            messages, answered = list(before), after[0]["content"]
    elif (listed_turns := _listed(templates[asking[0]], columns, asking[0])) is not None:
        messages = listed_turns
    else:
        parts = [_text(templates[asking[0]], columns, asking[0])]
        parts += [extra for name in asking[1:] if (extra := templates[name].render(columns)[0]).strip()]
        messages = [{"role": "user", "content": "\n\n".join(parts)}]
    if not messages or messages[-1]["role"] not in ("user", "tool"):
        raise BadRow("malformed", "the conversation does not end with a user's message or a tool's")
    system = templates["system"].render(columns)[0] if "system" in templates else ""
    if system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return messages, answered
