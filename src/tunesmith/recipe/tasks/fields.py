"""What each kind of field may be written as in a recipe and a file: the conversation in several spellings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from tunesmith.recipe.tasks.spec import Field, FieldKind, RowSchema

Needs = tuple[frozenset[str], ...]

CONVERSATION = "messages"
"""Name of a chat field that holds question and answer, and that may be written in all of these ways."""
PLAIN = Field("text", "text")
"""What stands for a conversation too: plain text."""
CHAT_SHAPES: tuple[tuple[str, ...], ...] = (
    ("messages",),
    ("prompt", "completion"),
    ("instruction", "input", "output"),
    ("conversations",),
    ("text",),
)
"""The ways to write a row for a language model; ``system`` goes with each of them but ``text``."""
GIVEN = ("tools", "documents", "chat_template_kwargs")
"""Columns that a chat template may be given beside the messages."""
BESIDE = ("system", *GIVEN)
"""Fields that stand beside a conversation."""

_CHAT_QUESTIONS: tuple[tuple[str, ...], ...] = (
    ("messages",),
    ("conversations",),
    ("prompt",),
    ("instruction", "input"),
    ("instruction",),
    ("text",),
)

_ABOUT: Mapping[FieldKind, FieldKind] = {"spans": "text", "objects": "image", "mask": "image"}


def subject_of(field: Field, schema: RowSchema) -> str:
    """Name of the field that another is about, such as the text that spans lie in; empty if there is none."""
    about = _ABOUT.get(field.kind)
    return field.of or next((one.name for one in schema.fields if one.kind == about), "")


def is_conversation(field: Field) -> bool:
    """Whether a field is a whole conversation; any other chat is one side of one."""
    return field.kind == "chat" and field.name == CONVERSATION


def conversation_of(schema: RowSchema) -> Field | None:
    """The field that is a whole conversation, if there is one."""
    return next(filter(is_conversation, schema.fields), None)


def row_fields(schema: RowSchema) -> tuple[str, ...]:
    """The names by which a recipe may map columns for a task, those beside a conversation left out."""
    names: list[str] = []
    for field in (*schema.fields, *(schema.otherwise.fields if schema.otherwise else ())):
        chat = ("system", *(name for shape in CHAT_SHAPES for name in shape))
        names += chat if is_conversation(field) else (field.name,)
    return tuple(dict.fromkeys(names))


def beside(schema: RowSchema) -> tuple[str, ...]:
    """What may stand beside the fields of a task: its system message and what a chat template is given."""
    chats = any(field.kind == "chat" for field in schema.inputs)
    return tuple(name for name in BESIDE if name not in schema.kinds) if chats else ()


def readings(schema: RowSchema) -> tuple[RowSchema, ...]:
    """What rows may have, in order of preference: plain text stands for a conversation too."""
    if schema.otherwise is not None:
        return RowSchema(schema.inputs, schema.targets), schema.otherwise
    if conversation_of(schema) is None or PLAIN.name in schema.kinds:
        return (schema,)
    inputs, targets = (
        tuple(PLAIN if is_conversation(field) else field for field in side)
        for side in (schema.inputs, schema.targets)
    )
    return schema, RowSchema(inputs, targets)


def needs_of(schema: RowSchema) -> Needs:
    """The alternatives of fields that a mapped row must have for a task."""
    return tuple(
        frozenset(field.name for field in reading.fields if not field.optional)
        for reading in readings(schema)
    )


def questions_of(schema: RowSchema) -> tuple[tuple[str, ...], ...]:
    """The sets of fields that ask something of a model; the first that is there wins."""
    asked = [field for field in schema.inputs if not field.optional]
    each = [_CHAT_QUESTIONS if is_conversation(field) else ((field.name,),) for field in asked]
    found = tuple(tuple(name for part in one for name in part) for one in product(*each))
    return found + (questions_of(schema.otherwise) if schema.otherwise is not None else ())
