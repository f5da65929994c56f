"""Which columns become which fields: named in the recipe, or seen from the columns' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.data.map.template import Slot, Template, parse_field
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.suggest import listed, nearest_names

Needs = tuple[frozenset[str], ...]

# The spellings of a conversation: the columns that make one, and those that may stand beside them.
CHATS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("messages",), ()),
    (("conversations",), ()),
    (("prompt", "completion"), ()),
    (("instruction", "output"), ("input",)),
)
GIVEN = ("tools", "documents", "chat_template_kwargs")
"""Columns that a chat template may be given beside the messages."""
_BESIDE = {"system", *GIVEN}
MEANING = frozenset(
    """
    audio chosen context documents functions history images input loss_mask mask messages reasoning
    reasoning_content rejected system thinking tools weight
    """.split()  # noqa: SIM905
)
"""Columns that are usually learnt from: that one is left aside may be a mistake."""
_PLAIN = ("text", "label", "target", "image")
_CHAT_FIELDS = tuple(name for needed, optional in CHATS for name in (*needed, *optional))
FIELDS = ("system", *GIVEN, *_CHAT_FIELDS, *_PLAIN)
_WAYS = {
    "messages": "a conversation (`messages`, `conversations`, `prompt` and `completion`, "
    "or `instruction` and `output`)"
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a raw row becomes fields.

    Attributes:
        chat: the columns that make the conversation, one of ``CHATS``; empty if there is none.
        fields: field -> where its value comes from.
    """

    chat: tuple[str, ...]
    fields: Mapping[str, Template]


def choose_shape(rows: Rows, columns: Sequence[str], needs: Needs, where: str = "") -> Shape:
    """Find out how the rows of one source become what the task needs.

    Fields that the recipe names count, and those alone. If it names none (what stands beside a conversation
    aside), a column called like a field is that field.

    Args:
        rows: the recipe's description of the source.
        columns: the columns that there are.
        needs: alternatives, in order of preference, each a set of fields that the task can learn from.
        where: the place in the recipe, for messages.

    Raises:
        UserError: a column is not there, the fields are not what the task needs, or contradict each other.
    """
    named = {field: spec for field in FIELDS if (spec := getattr(rows, field)) is not None}
    if set(named) <= _BESIDE:
        chosen = _inferred(columns, needs) | named
        if set(chosen) <= _BESIDE:
            raise _not_enough(rows.source, set(), columns, needs, where)
    else:
        chosen = named
    chat = _chat(chosen, where)
    _check_needs(rows.source, chosen, chat=chat, columns=columns, needs=needs, where=where)
    fields = {
        field: parse_field(spec, columns, field, where, literal=field == "system")
        for field, spec in chosen.items()
    }
    for field in ("messages", "conversations", *GIVEN):
        if field in fields and fields[field].column is None:
            raise UserError(
                f"`{field}: {chosen[field]}` is a template", where, "it takes the name of one column"
            )
    return Shape(chat, fields)


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


def _inferred(columns: Sequence[str], needs: Needs) -> dict[str, str]:
    for alternative in needs:
        fields: list[str] = [name for name in _PLAIN if name in alternative]
        if not set(fields) <= set(columns):
            continue
        if "messages" not in alternative:
            return {name: name for name in fields}
        for needed, optional in CHATS:
            if set(needed) <= set(columns):
                fields += [*needed, *(name for name in optional if name in columns)]
                system = {"system": "{system}"} if "system" in columns else {}
                fields += [name for name in GIVEN if name in columns]
                return system | {name: name for name in fields}
    return {}


def _chat(chosen: Mapping[str, str], where: str) -> tuple[str, ...]:
    present = [name for name in _CHAT_FIELDS if name in chosen]
    if not present:
        beside = next((name for name in ("system", *GIVEN) if name in chosen), None)
        if beside is not None:
            raise UserError(
                f"`{beside}` is given without a conversation", where, "leave it out, or put it into `text`"
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


def _check_needs(
    source: str,
    chosen: Mapping[str, str],
    *,
    chat: tuple[str, ...],
    columns: Sequence[str],
    needs: Needs,
    where: str,
) -> None:
    gives = {name for name in _PLAIN if name in chosen} | ({"messages"} if chat else set())
    if gives in needs:
        return
    fitting = [alternative for alternative in needs if alternative <= gives]
    if not fitting:
        raise _not_enough(source, gives, columns, needs, where, chosen.values())
    useless = sorted(gives - fitting[0])
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
        " and ".join(_WAYS.get(name, f"`{name}`") for name in sorted(need, reverse=True)) for need in needs
    ]
    return ", or ".join(names)
