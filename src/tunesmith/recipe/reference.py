"""Every key of a recipe for people, from the schema: ``docs/recipe.md`` is written by this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunesmith.recipe.check import introspect
from tunesmith.recipe.dump import scalar_text
from tunesmith.recipe.meanings import EXAMPLES, MEANINGS
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.eval import EvalSet
from tunesmith.recipe.schema.quantities import Every, Patience
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.spec import TaskSettings

HEAD = """\
# Every key of a recipe

Written from the schema by `tunesmith schema --markdown > docs/recipe.md`; a test holds it current. A key
that must be given is marked. `tunesmith schema` prints the same for editors, as a JSON schema, and
`tunesmith check RECIPE` says what is wrong with a recipe.

Anything can be overridden behind the recipe, `optimizer.learning_rate=1e-4`, and `extends: ./base.yaml`
builds on another recipe: mappings merge, lists replace.
"""


def reference_text() -> str:
    """The reference as Markdown: a table for each section."""
    blocks = [HEAD]
    for path, model in sections():
        title = f"## `{path}`{_which(model)}" if path else "## The recipe"
        rows = [_row(name, field, path) for name, field in _fields(path, model)]
        table = ["| key | value | default | meaning | example |", "|---|---|---|---|---|", *rows]
        blocks.append("\n".join([title, "", _about(path, model), "", *table, ""]))
    return "\n".join(blocks).rstrip() + "\n"


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section once, with its dotted path, in the order of the schema."""
    yield from _below("", Recipe, set())


def reference_keys() -> Iterator[tuple[str, FieldInfo]]:
    """Every key of every section, dotted."""
    for path, model in sections():
        for name, field in _fields(path, model):
            yield f"{path}.{name}".lstrip("."), field


def _below(
    path: str, model: type[BaseModel], seen: set[type[BaseModel]]
) -> Iterator[tuple[str, type[BaseModel]]]:
    if model in seen:
        return
    seen.add(model)
    yield path, model
    for name, field in model.model_fields.items():
        for section in _models(introspect.field_type(field)):
            yield from _below(f"{path}.{name}".lstrip("."), section, seen)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Sections that may stand here, alone, in a list or in a free mapping."""
    for member in introspect.alternatives(annotation):
        inner = introspect.item_type(member) or introspect.value_type(member)
        model = introspect.as_model(member)
        if model is not None and set(model.model_fields) != {"name"}:  # a task without settings is a word
            yield model
        elif inner is not None:
            yield from _models(inner)


def _fields(path: str, model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    inherited = Rows.model_fields if model is EvalSet else {}
    return [(name, field) for name, field in model.model_fields.items() if name not in inherited]


def _which(model: type[BaseModel]) -> str:
    """Of a task's settings: which task's."""
    return f" of {model.model_fields['name'].default}" if issubclass(model, TaskSettings) else ""


def _about(path: str, model: type[BaseModel]) -> str:
    said = " ".join((model.__doc__ or "").split()).replace("``", "`")
    more = " Beside these it has the keys of `data.train`." if model is EvalSet else ""
    return said + more


def _row(name: str, field: FieldInfo, path: str) -> str:
    key = f"{path}.{name}".lstrip(".")
    annotation = introspect.field_type(field)
    default = "**required**" if field.is_required() else _default(field)
    meaning = MEANINGS.get(key, "")
    said = " ".join(part for part in (meaning, field.description or "") if part)
    example = example_of(key, field)
    cells = [f"`{name}`", introspect.expected(annotation), default, said, f"`{name}: {example}`"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required() or field.default_factory is not None or value is None or value == ():
        return "–"
    return f"`{_flow(value)}`" if len(_flow(value)) < 60 else "see the schema"


def example_of(key: str, field: FieldInfo) -> str:
    """A value that may stand there: one of our own, or the default."""
    if key in EXAMPLES or field.examples:
        return EXAMPLES[key] if key in EXAMPLES else _flow((field.examples or [])[0])
    known = not field.is_required() and field.default_factory is None and field.default is not None
    return _flow(field.default) if known else ""


def _flow(value: Any) -> str:
    if isinstance(value, Every | Patience):
        return str(value) if isinstance(value, Every) else str(value.plain())
    if isinstance(value, BaseModel):
        given = {name: getattr(value, name) for name in value.model_fields_set}
        return _flow(given)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return scalar_text(value)
