"""Which columns of a file ask something of a model, and which one answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.data.eval_splits import own_sources
from tunesmith.data.map.template import Template, parse_field
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.fields import GIVEN, questions_of, readings
from tunesmith.recipe.tasks.spec import RowSchema
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.suggest import listed

ANSWERING = ("reference", "completion", "output", "label", "target")


@dataclass(frozen=True, slots=True)
class Fields:
    """Which columns of a file ask, and which one answers.

    Attributes:
        asking: the fields that make the question, one of ``questions_of``.
        templates: those fields, ``system`` if there is one, and what a chat template takes beside.
        reference: the field of the right answer, if there is one.
        schema: what the rows have, as far as they ask.
    """

    asking: tuple[str, ...]
    templates: Mapping[str, Template]
    reference: Template | None
    schema: RowSchema


def choose_fields(recipe: Recipe, columns: Sequence[str], where: str) -> Fields:
    """Which columns ask and which one answers: as the recipe names them, else by their own names.

    Raises:
        UserError: no set of fields fits the columns; the message names what there is.
    """
    sources = [*recipe.data.train, *own_sources(recipe.data, recipe.eval).values()]
    schema = spec_of(recipe.task).row_schema
    for source in sources:
        for asking in questions_of(schema):
            specs = {name: spec for name in asking if (spec := source.mapped.get(name)) is not None}
            found = _parsed(specs, columns)
            if len(specs) == len(asking) and found is not None:
                return _fields(asking, found, source, schema, columns)
    for asking in questions_of(schema):
        if set(asking) <= set(columns):
            named = {name: parse_field(name, columns, name) for name in asking}
            return _fields(asking, named, sources[0], schema, columns)
    raise _no_fields(recipe, sources, columns, where)


def _fields(
    asking: tuple[str, ...],
    named: Mapping[str, Template],
    source: Rows,
    schema: RowSchema,
    columns: Sequence[str],
) -> Fields:
    """With the optional inputs that the file has, what stands beside, and the right answer."""
    optional = [one.name for one in schema.inputs if one.optional and one.name not in named]
    more = [(name, _parsed({name: source.mapped.get(name, name)}, columns)) for name in optional]
    templates = dict(named) | {name: found[name] for name, found in more if found is not None}
    reference = _reference(source, columns, [one.name for one in schema.targets])
    fitting = [
        one for one in readings(schema) if all(one.name in asking or one.optional for one in one.inputs)
    ]
    return Fields(asking, templates | _beside(source, columns), reference, (*fitting, schema)[0])


def _parsed(specs: Mapping[str, str], columns: Sequence[str]) -> dict[str, Template] | None:
    try:
        return {name: parse_field(spec, columns, name) for name, spec in specs.items()}
    except UserError:
        return None  # the file lacks these columns; it may have others that serve


def _system(source: Rows, columns: Sequence[str]) -> dict[str, Template]:
    """The system message: the row's own if it has one, else what the model was trained with."""
    if "system" in columns:
        return {"system": parse_field("{system}", columns, "system")}
    if "system" not in source.mapped:
        return {}
    return {"system": parse_field(source.mapped["system"], columns, "system", literal=True)}


def _beside(source: Rows, columns: Sequence[str]) -> dict[str, Template]:
    """The system message, and what the chat template takes beside the messages."""
    specs = {name: source.mapped.get(name, name) for name in GIVEN}
    given = {name: spec for name, spec in specs.items() if spec in columns}
    return _system(source, columns) | {name: parse_field(spec, columns, name) for name, spec in given.items()}


def _reference(source: Rows, columns: Sequence[str], targets: Sequence[str]) -> Template | None:
    names = dict.fromkeys((*ANSWERING, *targets))
    for name in names:
        spec = source.mapped.get(name)
        found = _parsed({name: spec}, columns) if spec is not None else None
        if found is not None:
            return found[name]
    known = next((name for name in names if name in columns), None)
    return parse_field(known, columns, known) if known is not None else None


def _no_fields(recipe: Recipe, sources: Sequence[Rows], columns: Sequence[str], where: str) -> UserError:
    asked = [name for way in questions_of(spec_of(recipe.task).row_schema) for name in way]
    mapped = sources[0].mapped
    named = {f"{name}: {mapped[name]}": None for name in asked if name in mapped}
    mapping = f"the recipe maps {listed(list(named))}" if named else "the recipe maps no columns"
    return UserError(
        f"no column says what to ask: {mapping}, and the file has {listed(list(columns), 20)}",
        where,
        f"give the file the columns that the recipe names, or one of {listed(list(dict.fromkeys(asked)))}",
    )
