"""The kinds by name, and what is asked of a row by them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from tunesmith.data.kinds.audio import AUDIO
from tunesmith.data.kinds.chat import CHAT
from tunesmith.data.kinds.image import IMAGE
from tunesmith.data.kinds.label import LABEL
from tunesmith.data.kinds.labels import LABELS
from tunesmith.data.kinds.mask import MASK
from tunesmith.data.kinds.number import NUMBER
from tunesmith.data.kinds.objects import OBJECTS
from tunesmith.data.kinds.sequence import SEQUENCE
from tunesmith.data.kinds.spans import SPANS
from tunesmith.data.kinds.text import TEXT
from tunesmith.data.map.drawing import Drawing
from tunesmith.data.map.kind import Kind
from tunesmith.data.row import Row
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.fields import subject_of
from tunesmith.recipe.tasks.spec import Field

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (TEXT, CHAT, IMAGE, AUDIO, NUMBER, LABEL, LABELS, SPANS, OBJECTS, MASK, SEQUENCE)
}
"""Every kind of field by its name."""


def classes_in(row: Row) -> Iterator[tuple[str, str]]:
    """Field and class, for every class that a row names."""
    for field, kind in _present(row, row.schema.fields):
        for name in kind.classes(row.fields[field.name]):
            yield field.name, name


def stratum_of(row: Row) -> str:
    """What a split keeps the shares of: the classes of the first target that has any; else empty."""
    for field, kind in _present(row, row.schema.targets):
        if kind.stratum is not None and kind.split is None:
            return str(kind.stratum(row.fields[field.name]))
    return ""


def answer_of(row: Row) -> Hashable:
    """What a sample keeps the shares of: a row's class, or its answer; 0 if neither has a name."""
    for field, kind in _present(row, (*row.schema.targets, *row.schema.inputs)):
        if kind.stratum is not None:
            return kind.stratum(row.fields[field.name])
    return 0


def texts_of(row: Row) -> Iterator[str]:
    """The texts of a row, for a tokenizer to be trained on."""
    for field, kind in _present(row, row.schema.fields):
        yield from kind.texts(row.fields[field.name])


def shown(row: Row) -> list[tuple[str, str, bool]]:
    """Name, text and whether it is a target, of each field that a row has."""
    return [
        (field.name, kind.show(row.fields[field.name]), field in row.schema.targets)
        for field, kind in _present(row, row.schema.fields)
    ]


def drawings_of(row: Row) -> dict[str, Drawing]:
    """What can be drawn of a row, by field; what another drawing is about is part of that one."""
    found: dict[str, Drawing] = {}
    subjects = {field.name: subject_of(field, row.schema) for field in row.schema.fields}
    for field, kind in _present(row, row.schema.fields):
        if kind.draw is None:
            continue
        try:
            drawn = kind.draw(row.fields[field.name], row.fields.get(subjects[field.name]))
        except (ValueError, MemoryError, UserError):  # encoding tells it
            continue
        if drawn is not None:
            found[field.name] = drawn
    within = {subjects[name] for name, drawing in found.items() if drawing.boxes or drawing.marks}
    return {name: drawing for name, drawing in found.items() if name not in within}


def _present(row: Row, fields: tuple[Field, ...]) -> Iterator[tuple[Field, Kind]]:
    return ((field, KINDS[field.kind]) for field in fields if field.name in row.fields)
