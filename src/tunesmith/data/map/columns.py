"""Which columns become which fields: named in the recipe, or seen from the columns' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tunesmith.data.map.template import Slot, Template, parse_field
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import FLAT, Rows
from tunesmith.recipe.tasks.fields import (
    BESIDE,
    CONVERSATION,
    GIVEN,
    Needs,
    beside,
    conversation_of,
    is_conversation,
    needs_of,
    readings,
    row_fields,
    subject_of,
)
from tunesmith.recipe.tasks.spec import Field, RowSchema
from tunesmith.suggest import did_you_mean, listed, nearest_names

# The spellings of a conversation: the columns that make one, and those that may stand beside them.
CHATS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("messages",), ()),
    (("conversations",), ()),
    (("prompt", "completion"), ()),
    (("instruction", "output"), ("input",)),
)
MEANING = frozenset(
    """
    audio chosen context documents functions history images input loss_mask mask messages reasoning
    reasoning_content rejected system thinking tools weight
    """.split()  # noqa: SIM905
)
"""Columns that are usually learnt from: that one is left aside may be a mistake."""
_CHAT_FIELDS = tuple(name for needed, optional in CHATS for name in (*needed, *optional))
_WAYS = (
    "a conversation (`messages`, `conversations`, `prompt` and `completion`, or `instruction` and `output`)"
)


@dataclass(frozen=True)
class Shape:
    """How a raw row becomes fields.

    Attributes:
        chat: the columns that make the conversation, one of ``CHATS``; empty if there is none.
        fields: field -> where its value comes from.
        schema: what the rows have; optional fields may be mapped from nothing.
    """

    chat: tuple[str, ...]
    fields: Mapping[str, Template]
    schema: RowSchema

    def has(self, field: Field) -> bool:
        """Whether a field is taken from anything."""
        return bool(self.chat) if is_conversation(field) else field.name in self.fields

    @cached_property
    def given(self) -> dict[str, Template]:
        """What a chat template is given beside the messages."""
        names = [name for name in GIVEN if name in self.fields and name not in self.schema.kinds]
        return {name: self.fields[name] for name in names}


def choose_shape(rows: Rows, columns: Sequence[str], schema: RowSchema, where: str = "") -> Shape:
    """Find out how the rows of one source become what the task needs.

    Fields that the recipe names count, and those alone. If it names none (what stands beside a conversation
    aside), a column called like a field is that field.

    Args:
        rows: the recipe's description of the source.
        columns: the columns that there are.
        schema: what the task's rows have.
        where: the place in the recipe, for messages.

    Raises:
        UserError: a column is not there, the fields are not what the task needs, or contradict each other.
    """
    named = rows.mapped
    _refuse_unknown(named, schema, where)
    aside = set(beside(schema))
    if set(named) <= aside:
        chosen = _inferred(columns, schema) | named
        if set(chosen) <= aside:
            raise _not_enough(rows.source, set(), columns, needs_of(schema), where)
    else:
        chosen = named
    chat = _chat(chosen, schema, where)
    reading = _fitting(rows.source, chosen, chat=chat, columns=columns, schema=schema, where=where)
    fields = {
        field: parse_field(spec, columns, field, _key_of(field, rows, where), literal=field == "system")
        for field, spec in chosen.items()
    }
    shape = Shape(chat, fields, reading)
    for field in _one_column(shape):
        if field in fields and fields[field].column is None:
            raise UserError(
                f"`{field}: {chosen[field]}` is a template", where, "it takes the name of one column"
            )
    return shape


def _key_of(field: str, rows: Rows, where: str) -> str:
    """The place of a field's mapping in the recipe, where that can be named by keys."""
    return f"{where}.fields.{field}" if field in rows.fields and where and "," not in where else where


def _one_column(shape: Shape) -> Iterable[str]:
    """The fields that no template can make: whole conversations, and the text that places lie in."""
    yield from (name for name in ("messages", "conversations") if name in shape.chat)
    yield from shape.given
    for field in shape.schema.fields:
        if field.kind == "spans":
            yield subject_of(field, shape.schema)


def _refuse_unknown(named: Iterable[str], schema: RowSchema, where: str) -> None:
    """``fields`` takes any name, so that one which the task does not have is told here as well."""
    allowed = (*row_fields(schema), *beside(schema))
    for field in named:
        if field not in allowed and field not in FLAT:
            hint = did_you_mean(field, allowed, "fields of the task")
            raise UserError(f"the task has no field `{field}`", where, hint)


def unused_columns(shape: Shape, columns: Sequence[str], used: Sequence[str] = ()) -> list[str]:
    """The columns that nothing is taken from.

    Args:
        shape: how rows become fields.
        columns: the columns that there are.
        used: those that the recipe names elsewhere.
    """
    parts = [part for field in shape.fields.values() for part in field.parts]
    taken = {part.path[0] for part in parts if isinstance(part, Slot)}
    return [name for name in columns if name not in taken and name not in used]


def _inferred(columns: Sequence[str], schema: RowSchema) -> dict[str, str]:
    for reading in readings(schema):
        plain = [field for field in reading.fields if not is_conversation(field)]
        if not {field.name for field in plain if not field.optional} <= set(columns):
            continue
        fields = [field.name for field in plain if field.name in columns]
        aside = [name for name in beside(reading) if name in columns and name not in fields]
        system = {"system": "{system}"} if "system" in aside else {}
        given = {name: name for name in aside if name != "system"}
        if conversation_of(reading) is None:
            return system | given | {name: name for name in fields}
        for needed, optional in CHATS:
            if set(needed) <= set(columns):
                fields += [*needed, *(name for name in optional if name in columns)]
                return system | {name: name for name in fields} | given
    return {}


def _chat(chosen: Mapping[str, str], schema: RowSchema, where: str) -> tuple[str, ...]:
    own = {field.name for field in schema.fields if not is_conversation(field)}
    conversing = conversation_of(schema) is not None
    present = [name for name in _CHAT_FIELDS if name in chosen and name not in own]
    if not present or not conversing:
        alone = () if beside(schema) and not conversing else BESIDE
        extra = next((name for name in alone if name in chosen and name not in own), None)
        if extra is not None:
            raise UserError(
                f"`{extra}` is given without a conversation", where, "leave it out, or put it into `text`"
            )
        return ()
    for needed, optional in CHATS:
        if set(needed) <= set(present) <= {*needed, *optional}:
            return tuple(present)
    for needed, optional in CHATS:
        if set(present) <= {*needed, *optional}:
            missing = [name for name in needed if name not in present]
            raise UserError(
                f"{listed(present)} is given without {listed(missing)}", where, "name both columns"
            )
    raise UserError(f"{listed(present)} are two spellings of one conversation", where, "keep one of them")


def _fitting(
    source: str,
    chosen: Mapping[str, str],
    *,
    chat: tuple[str, ...],
    columns: Sequence[str],
    schema: RowSchema,
    where: str,
) -> RowSchema:
    """The reading of the task's rows that the fields are enough for, and not too many."""
    needs = needs_of(schema)
    gives = {name for name in chosen if name not in (*chat, *beside(schema))}
    gives |= {CONVERSATION} if chat else set()
    useless: list[str] = []
    for reading, need in zip(readings(schema), needs, strict=True):
        left = sorted(gives - {field.name for field in reading.fields})
        if need <= gives and not left:
            return reading
        useless = useless or (left if need <= gives else [])
    if not useless:
        raise _not_enough(source, gives, columns, needs, where, chosen.values())
    raise UserError(
        f"{listed(useless)} means nothing to this task",
        where,
        f"leave it out; the task learns from {_say(needs)}",
    )


def _not_enough(
    source: str,
    gives: Iterable[str],
    columns: Sequence[str],
    needs: Needs,
    where: str,
    used: Iterable[str] = (),
) -> UserError:
    gives = sorted(gives)
    named = set(used)
    state = (
        f"the recipe maps {listed(gives)} alone"
        if gives
        else "no column is named so, and the recipe maps none"
    )
    missing = min((sorted(need - set(gives)) for need in needs), key=len) if needs else []
    free = [column for column in columns if column not in named]
    return UserError(
        f"the task needs {_say(needs)} from `{source}`, but {state}",
        where,
        f"{_example(missing, free)}the columns are {listed(columns, 20)}{_headless(columns)}",
    )


def _example(missing: Sequence[str], free: Sequence[str]) -> str:
    """Which column a missing field may be: one that is called like it, or the only one left."""
    if not missing or not free:
        return ""
    field = missing[0]
    near = nearest_names(field, free, 1) or ([free[0]] if len(free) == 1 else [])
    if near:
        return f"name the columns, e.g. `{field}: {near[0]}`; "
    return f"add `{field}:` with the name of a column; "


def _headless(columns: Sequence[str]) -> str:
    """Whether the first line of a table seems to have been a row."""
    if not seems_a_row(columns):
        return ""
    names = ", ".join(f"column_{number}" for number in range(1, min(len(columns), 4) + 1))
    return f"; they look like a row: if the file has no header, name its columns, `columns: [{names}]`"


def seems_a_row(columns: Sequence[str]) -> bool:
    """Whether names of columns are rather the cells of a row: numbers, or whole sentences."""
    return any(_is_number(name) or len(name.split()) > 4 for name in columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _say(needs: Needs) -> str:
    names = [
        " and ".join(_WAYS if name == CONVERSATION else f"`{name}`" for name in sorted(need, reverse=True))
        for need in needs
    ]
    return ", or ".join(names)
