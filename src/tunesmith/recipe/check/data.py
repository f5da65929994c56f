"""Rules across keys for ``data``: which fields a task reads, and how they go together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.data import FLAT, Data, Holdout, Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.source_syntax import kind_of
from tunesmith.recipe.tasks.fields import (
    CHAT_SHAPES,
    CONVERSATION,
    GIVEN,
    beside,
    conversation_of,
    readings,
    row_fields,
)
from tunesmith.recipe.tasks.spec import Field, TaskSpec
from tunesmith.recipe.tasks.table import spec_of, tasks_with
from tunesmith.suggest import any_of, nearest

Path = tuple[str | int, ...]


def check_data(recipe: Recipe) -> Iterator[Problem]:
    """Yield what cannot work in ``data``."""
    data, task = recipe.data, spec_of(recipe.task)
    for index, rows in enumerate(data.train):
        yield from _rows(rows, ("data", "train", index), task)
    held_out: dict[Path, Rows | Holdout | None] = {("data", "eval"): data.eval, ("data", "test"): data.test}
    held_out |= {("eval", "sets", name): rows for name, rows in recipe.eval.sets.items()}
    for path, section in held_out.items():
        if isinstance(section, Holdout):
            yield from _holdout(section, path)
        elif section is not None:
            yield from _rows(section, path, task)
            if section.weight is not None:
                what = f"`{_dotted(path)}.weight` means nothing: every evaluation row counts once"
                yield Problem((*path, "weight"), what, "take it away", "key")
    yield from _too_many(data)
    if data.loss_on != "assistant" and (others := tasks_with("loss_on", recipe.task)):
        what = f"`data.loss_on` is for task {others}, not `{task.name}`"
        yield Problem(("data", "loss_on"), what, "take it away", "key")
    if task.processor == "image":
        given = [name for name in ("max_length", "overflow") if getattr(data, name) not in (None, "error")]
        for name in given:
            what = f"`data.{name}` is for text, not for task `{task.name}`"
            yield Problem(("data", name), what, "take it away", "key")


def _holdout(holdout: Holdout, path: Path) -> Iterator[Problem]:
    count = holdout.holdout
    if count >= 1 and not count.is_integer():
        what = f"`{_dotted(path)}.holdout` must be whole rows or a share below 1; got {count:g}"
        yield Problem((*path, "holdout"), what, f"write {count:.0f}, or e.g. 0.1 for a tenth")


def _too_many(data: Data) -> Iterator[Problem]:
    """Rows held out against the limits of the sources, shares of them included."""
    limits = [rows.limit or rows.first for rows in data.train]
    total = sum(limit for limit in limits if limit is not None)
    if None in limits:
        return
    left: float = total
    for name, section in (("eval", data.eval), ("test", data.test)):
        if not isinstance(section, Holdout):
            continue
        left -= section.holdout if section.holdout >= 1 else section.holdout * total
        if left <= 0:
            what = f"`data.{name}.holdout` ({section.holdout:g}) leaves nothing of the {total} training rows"
            yield Problem(("data", name, "holdout"), what, "hold out fewer, or raise `limit`")


def _dotted(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _rows(rows: Rows, path: Path, task: TaskSpec) -> Iterator[Problem]:
    yield from _mapping(rows, path, task)
    if rows.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", rows.sha256):
        what = "`sha256` must have 64 hexadecimal digits"
        yield Problem((*path, "sha256"), what, "`sha256sum FILE` prints it")
    yield from _settings(rows, path)


def _mapping(rows: Rows, path: Path, task: TaskSpec) -> Iterator[Problem]:
    """Fields against what the task declares, whichever way each is written."""
    schema, mapped = task.row_schema, rows.mapped
    allowed = row_fields(schema)
    place = {name: (*path, *(("fields",) if name in rows.fields else ()), name) for name in mapped}
    yield from _mapped_twice(rows, path)
    yield from _unknown(rows, place, task)
    given = [name for name in mapped if name in allowed]
    if conversation_of(schema) is not None:
        own = {field.name for field in schema.fields} - {CONVERSATION}
        yield from _shape([name for name in given if name not in own], place)
    elif given and not rows.fields:  # what is missing of `fields` is told with the columns that there are
        named = [way for way in readings(schema) if any(field.name in given for field in way.fields)]
        yield from _all_named(given, named[0].fields, path)


def _mapped_twice(rows: Rows, path: Path) -> Iterator[Problem]:
    for name in rows.fields:
        if name in FLAT and getattr(rows, name) is not None:
            what = f"`{name}` and `fields.{name}` both say where the field `{name}` comes from"
            yield Problem((*path, name), what, "keep one of them", "key")


def _unknown(rows: Rows, place: Mapping[str, Path], task: TaskSpec) -> Iterator[Problem]:
    schema = task.row_schema
    allowed = row_fields(schema)
    for name in place:
        flat = name not in rows.fields
        if name in (*allowed, *beside(schema)) or (flat and name in GIVEN):
            continue
        near = None if flat else nearest(name, allowed)
        hint = f"did you mean `{near}`? its fields: " if near else "its fields: "
        what = f"task `{task.name}` has no field `{name}`"
        yield Problem(place[name], what, f"{hint}{any_of(allowed, 'and')}", "key")


def _shape(given: list[str], place: Mapping[str, Path]) -> Iterator[Problem]:
    """One shape, and all of it."""
    used = [shape for shape in CHAT_SHAPES if any(field in shape for field in given)]
    if len(used) > 1:
        ones = [next(field for field in shape if field in given) for shape in used]
        what = f"{any_of(ones, 'and')} describe the row in different ways"
        yield Problem(place[ones[1]], what, "keep the fields of one shape", "key")
    elif used:
        optional = {"input"}
        missing = [field for field in used[0] if field not in given and field not in optional]
        if missing:
            has = next(field for field in used[0] if field in given)
            hint = f"add `{missing[0]}:`, a column's name or a template with {{column}}"
            yield Problem(place[has], f"`{has}` needs `{missing[0]}` beside it", hint, "key")
    if "system" in given and ("text" in given):
        what = "`system` means nothing for rows of plain `text`"
        yield Problem(place["system"], what, "take it away, or use `prompt` and `completion`", "key")


def _all_named(given: list[str], fields: Sequence[Field], path: Path) -> Iterator[Problem]:
    """Once a recipe names a field, it names all that the task reads."""
    for field in fields:
        if field.name not in given and not field.optional:
            has = next(name for name in given if name in {one.name for one in fields})
            what = f"`{has}` needs `{field.name}` beside it"
            hint = f"add `{field.name}:`, the name of the column that holds the {field.meaning or field.name}"
            yield Problem((*path, has), what, hint, "key")


def _settings(rows: Rows, path: Path) -> Iterator[Problem]:
    kind = kind_of(rows.source)
    if rows.limit is not None and rows.first is not None:
        what = "`limit` (a sample of all rows) and `first` (those at the start) are both given"
        yield Problem((*path, "first"), what, "keep one of them", "key")
    if rows.arguments and kind != "python":
        what = "`arguments` are for a `python:` source"
        yield Problem((*path, "arguments"), what, "take them away", "key")
    if rows.revision is not None and kind != "hub":
        what = "`revision` means something only for a source on the hub"
        yield Problem((*path, "revision"), what, "take it away", "key")
    if rows.pattern is None:
        return
    try:
        groups = re.compile(rows.pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        what = f"`pattern` is not a regular expression: {error}"
        yield Problem(
            (*path, "pattern"), what, r"put a backslash before a character that stands for itself: `\(`"
        )
        return
    if not groups:
        hint = r"name the columns: `(?P<label>\w+) (?P<text>.*)`"
        yield Problem((*path, "pattern"), "`pattern` has no named group", hint)
