"""Rules across keys for ``data``: which fields a task reads, and how they go together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunesmith.recipe.finding import Problem
from tunesmith.recipe.schema.data import Data, Holdout, Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.source_syntax import kind_of
from tunesmith.recipe.tasks.fields import CHAT_SHAPES, row_fields
from tunesmith.recipe.tasks.spec import Field, TaskSpec
from tunesmith.recipe.tasks.table import TASKS, spec_of, tasks_with
from tunesmith.suggest import any_of

Path = tuple[str | int, ...]

FIELDS = tuple(dict.fromkeys(field for spec in TASKS.values() for field in row_fields(spec)))
"""The keys of a source that map columns, of whatever task."""


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
    given = [field for field in FIELDS if getattr(rows, field) is not None]
    allowed = row_fields(task)
    for field in given:
        if field not in allowed:
            what = f"task `{task.name}` has no field `{field}`"
            yield Problem((*path, field), what, f"its fields: {any_of(allowed, 'and')}", "key")
    if task.field_of("chat") is not None:
        yield from _shape([field for field in given if field in allowed], path)
    elif any(field in allowed for field in given):
        yield from _all_named(given, task.fields, path)
    if rows.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", rows.sha256):
        what = "`sha256` must have 64 hexadecimal digits"
        yield Problem((*path, "sha256"), what, "`sha256sum FILE` prints it")
    yield from _settings(rows, path)


def _shape(given: list[str], path: Path) -> Iterator[Problem]:
    """One shape, and all of it."""
    used = [shape for shape in CHAT_SHAPES if any(field in shape for field in given)]
    if len(used) > 1:
        ones = [next(field for field in shape if field in given) for shape in used]
        what = f"{any_of(ones, 'and')} describe the row in different ways"
        yield Problem((*path, ones[1]), what, "keep the fields of one shape", "key")
    elif used:
        optional = {"input"}
        missing = [field for field in used[0] if field not in given and field not in optional]
        if missing:
            has = next(field for field in used[0] if field in given)
            hint = f"add `{missing[0]}:`, a column's name or a template with {{column}}"
            yield Problem((*path, has), f"`{has}` needs `{missing[0]}` beside it", hint, "key")
    if "system" in given and ("text" in given):
        what = "`system` means nothing for rows of plain `text`"
        yield Problem((*path, "system"), what, "take it away, or use `prompt` and `completion`", "key")


def _all_named(given: list[str], fields: Sequence[Field], path: Path) -> Iterator[Problem]:
    """Once a recipe names a field, it names all that the task reads."""
    for field in fields:
        if field.name not in given:
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
