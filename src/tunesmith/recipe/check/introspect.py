"""Questions about the schema: which keys stand where, and what a value should have been, in words."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.schema import quantities
from tunesmith.recipe.tasks.table import as_mapping
from tunesmith.suggest import any_of

_EXAMPLES = {
    quantities.parse_every: "a frequency such as `20 steps`, `0.5 epochs` or `50000 tokens`",
    quantities.parse_patience: "a number of evaluations, or such as `2 epochs`, `500 steps`, `50%`, `9 bits`",
    quantities.parse_share: "a share such as `0.95` or `95%`",
    quantities.parse_energy: "an energy such as `500 Wh` or `2 kWh`",
    quantities.parse_duration: "a duration such as `90s`, `10m` or `1h30m`",
}


def field_type(field: FieldInfo) -> Any:
    """A field's type with its constraints, as one annotation."""
    if not field.metadata:
        return field.annotation
    return Annotated[(field.annotation, *field.metadata)]


def bare(annotation: Any) -> tuple[Any, list[Any]]:
    """An annotation without its constraints, and the constraints."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    inner, *constraints = get_args(annotation)
    deeper, more = bare(inner)
    return deeper, [*more, *constraints]


def members(annotation: Any) -> list[Any]:
    """The alternatives of a union, flattened; a single one otherwise."""
    inner, constraints = bare(annotation)
    if get_origin(inner) not in (Union, types.UnionType):
        return [annotation]
    parts = [part for member in get_args(inner) for part in members(member)]
    return [
        Annotated[(part, *constraints)] if constraints and part is not type(None) else part for part in parts
    ]


def admits_none(annotation: Any) -> bool:
    """Whether ``null`` is a value here."""
    return any(member is type(None) for member in members(annotation))


def alternatives(annotation: Any) -> list[Any]:
    """The alternatives without ``None``."""
    return [member for member in members(annotation) if member is not type(None)]


def as_model(annotation: Any) -> type[BaseModel] | None:
    """The section that the annotation is, if it is one written as a mapping."""
    inner, constraints = bare(annotation)
    written_as_text = any(isinstance(one, BeforeValidator) and one.func in _EXAMPLES for one in constraints)
    is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
    return inner if is_model and not written_as_text else None


def tagged(annotation: Any) -> dict[str, type[BaseModel]]:
    """The alternatives of a union that is told apart by ``name``, by those names; empty if it is none."""
    _, constraints = bare(annotation)
    if not any(isinstance(one, BeforeValidator) and one.func is as_mapping for one in constraints):
        return {}
    models = [model for model in map(as_model, alternatives(annotation)) if model is not None]
    names = [get_args(model.model_fields["name"].annotation) for model in models]
    return {str(name[0]) if name else USER_PREFIX: model for name, model in zip(names, models, strict=True)}


def item_type(annotation: Any) -> Any | None:
    """The type of a list's items, if it is a list of any length."""
    inner, _ = bare(annotation)
    arguments = get_args(inner)
    return arguments[0] if get_origin(inner) is tuple and arguments[1:] == (...,) else None


def takes_one(annotation: Any) -> bool:
    """Whether a single mapping may stand for a list of them."""
    return any(isinstance(one, BeforeValidator) for one in bare(annotation)[1])


def value_type(annotation: Any) -> Any | None:
    """The type of a free mapping's values, if it is one."""
    inner, _ = bare(annotation)
    return get_args(inner)[1] if get_origin(inner) is dict else None


def is_text(annotation: Any) -> bool:
    """Whether only text is expected, so that a word such as ``no`` or ``2024`` stands for itself."""
    return [bare(member)[0] for member in alternatives(annotation)] == [str]


def is_frequency(annotation: Any) -> bool:
    """Whether so many steps, tokens or epochs are expected."""
    read = (quantities.parse_every, quantities.parse_patience)
    return any(
        isinstance(one, BeforeValidator) and one.func in read
        for member in alternatives(annotation)
        for one in bare(member)[1]
    )


def child(annotation: Any, step: str | int) -> Any | None:
    """The type of what stands under ``step``, in whichever alternative has it; None where nothing can."""
    for member in alternatives(annotation):
        model, item, value = as_model(member), item_type(member), value_type(member)
        if model is not None and step in model.model_fields:
            return field_type(model.model_fields[str(step)])
        if item is not None and (isinstance(step, int) or str(step).isdigit()):
            return item
        if item is not None and takes_one(member):
            return child(item, step)
        if value is not None:
            return value
        if bare(member)[0] is Any:
            return Any
    return None


def keys(annotation: Any) -> list[str]:
    """The keys that can stand in any of the alternatives that are sections."""
    models = [model for model in map(as_model, alternatives(annotation)) if model is not None]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def expected(annotation: Any) -> str:
    """What a value should have been: "a whole number above 0", "`all`, `head` or a mapping with `last`"."""
    options = alternatives(annotation)
    if names := tagged(annotation):
        shipped = any_of([name for name in names if name != USER_PREFIX])
        return f"{shipped}, or a class of your own, `python:FILE:CLASS`"
    literals = [word for member in options for word in literal_words(member)]
    others = [_expected_one(member) for member in options if not literal_words(member)]
    words = [f"`{word}`" for word in literals] + list(dict.fromkeys(others))
    if len(words) == 1:
        return words[0]
    comma = "," if " or " in words[-2] else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"


def literal_words(annotation: Any) -> list[str]:
    """The words of a closed list; empty if it is none."""
    inner, _ = bare(annotation)
    return [str(word) for word in get_args(inner)] if get_origin(inner) is Literal else []


def _expected_one(annotation: Any) -> str:
    inner, constraints = bare(annotation)
    for constraint in constraints:
        if isinstance(constraint, BeforeValidator) and constraint.func in _EXAMPLES:
            timed = _flat(constraints) if constraint.func is quantities.parse_duration else []
            least = [one.ge for one in timed if isinstance(one, annotated_types.Ge)]
            return _EXAMPLES[constraint.func] + "".join(f", of at least {one} s" for one in least)
    model, item, value = as_model(annotation), item_type(annotation), value_type(annotation)
    if model is not None:
        return _expected_mapping(model)
    if item is not None:
        if len(alternatives(item)) > 1:
            return "a list of these"
        return "a list of texts" if is_text(item) else f"a list, each item {expected(item)}"
    if value is not None:
        return "a mapping"
    if get_origin(inner) is tuple:
        return f"a list of {len(get_args(inner))}, each {expected(get_args(inner)[0])}"
    names = {str: "text", bool: "`true` or `false`", int: "a whole number", float: "a number"}
    return names.get(inner, "a value") + _bounds(constraints)


def _expected_mapping(model: type[BaseModel]) -> str:
    names = list(model.model_fields)
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    shown = required or (names if len(names) <= 6 else names[:4])
    return f"a mapping with {any_of(shown, 'and' if required else 'or')}"


def _bounds(constraints: list[Any]) -> str:
    words = []
    for one in _flat(constraints):
        if isinstance(one, annotated_types.Gt):
            words.append(f"above {one.gt}")
        elif isinstance(one, annotated_types.Ge):
            words.append(f"of at least {one.ge}")
        elif isinstance(one, annotated_types.Lt):
            words.append(f"below {one.lt}")
        elif isinstance(one, annotated_types.Le):
            words.append(f"of at most {one.le}")
    return " " + " and ".join(words) if words else ""


def _flat(constraints: list[Any]) -> list[Any]:
    """Constraints with those inside a ``Field(...)`` spelt out."""
    flat: list[Any] = []
    for one in constraints:
        flat += one.metadata if isinstance(one, FieldInfo) else [one]
    return flat
