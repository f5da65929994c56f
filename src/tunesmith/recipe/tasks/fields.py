"""What each kind of field may be written as in a recipe and a file: the conversation in several spellings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tunesmith.recipe.tasks.spec import Field, TaskSpec

Needs = tuple[frozenset[str], ...]

CHAT_SHAPES: tuple[tuple[str, ...], ...] = (
    ("messages",),
    ("prompt", "completion"),
    ("instruction", "input", "output"),
    ("conversations",),
    ("text",),
)
"""The ways to write a row for a language model; ``system`` goes with each of them but ``text``."""

_CHAT_QUESTIONS: tuple[tuple[str, ...], ...] = (
    ("messages",),
    ("conversations",),
    ("prompt",),
    ("instruction", "input"),
    ("instruction",),
    ("text",),
)


def row_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The names by which a recipe may map columns for a task."""
    names: list[str] = []
    for field in spec.fields:
        chat = ("system", *(name for shape in CHAT_SHAPES for name in shape))
        names += chat if field.kind == "chat" else (field.name,)
    return tuple(dict.fromkeys(names))


def needs_of(spec: TaskSpec) -> Needs:
    """The alternatives of fields that a mapped row must have for a task."""
    return tuple(frozenset(one) for one in product(*map(_mapped, spec.fields)))


def questions_of(spec: TaskSpec) -> tuple[tuple[str, ...], ...]:
    """The sets of fields that ask something of a model; the first that is there wins."""
    each = [_CHAT_QUESTIONS if field.kind == "chat" else ((field.name,),) for field in spec.inputs]
    return tuple(tuple(name for part in one for name in part) for one in product(*each))


def _mapped(field: Field) -> Iterator[str]:
    """Under which names the field stands in a mapped row: plain text stands for a conversation too."""
    yield "messages" if field.kind == "chat" else field.name
    if field.kind == "chat":
        yield "text"
