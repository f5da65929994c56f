"""Rows of a file with their right answers, encoded for a model that is there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.data.clean.duplicates import clean_skips
from tunesmith.data.clean.findings import NOTHING
from tunesmith.data.eval_splits import own_sources
from tunesmith.data.map.columns import Shape, choose_shape
from tunesmith.data.map.map_row import MappedRow, map_rows
from tunesmith.data.read.raw import RawRows
from tunesmith.data.row import Skip
from tunesmith.errors import UserError
from tunesmith.infer.inputs import read_file
from tunesmith.infer.open_run import LoadedRun
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.tasks.build import build_task
from tunesmith.tasks.task import Example, Task, TaskInputs, encode_row

UNLIMITED = 10**9


@dataclass(frozen=True, slots=True)
class Measurable:
    """Rows ready to be scored.

    Attributes:
        examples: encoded, in the order of the file.
        columns: per example its row as it stands in the file.
        left_out: reason to number of rows that are not scored.
    """

    examples: Sequence[Example]
    columns: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, int]


def read_samples(path: Path, recipe: Recipe) -> tuple[list[MappedRow], Mapping[str, int]]:
    """The rows of a file in the terms of the task, and how many were left out and why.

    Fields are those of the recipe's rows where the file has their columns, else columns named like a field.

    Raises:
        UserError: the file is not there, lacks columns, or has a row that the recipe's ``clean`` refuses.
    """
    raw = read_file(path, recipe)
    samples, unmapped = map_rows(raw, _shape(raw, path, recipe), 0)
    skips = [(skip, raw.where(skip.id)) for skip in (*raw.skips, *unmapped)]
    findings = clean_skips(skips, recipe.data.clean, NOTHING)
    if not samples:
        first = skips[0][0].detail if skips else "it is empty"
        raise UserError("no row of the file can be used", str(path), f"the first: {first}")
    return samples, {name: count for name, count in findings.found.items() if count}


def _shape(raw: RawRows, path: Path, recipe: Recipe) -> Shape:
    columns, schema = raw.columns(), spec_of(recipe.task).row_schema
    known = [*recipe.data.train, *own_sources(recipe.data, recipe.eval).values()]
    named = [rows for rows in known if rows.mapped]
    trouble: UserError | None = None
    for rows in (*named, Rows(source=str(path))):
        try:
            return choose_shape(rows.model_copy(update={"source": str(path)}), columns, schema, str(path))
        except UserError as problem:
            trouble = trouble or problem
    assert trouble is not None
    raise trouble


def encode_samples(samples: Sequence[MappedRow], task: Task, left_out: Mapping[str, int]) -> Measurable:
    """Samples as examples of a task; those that it leaves out are counted.

    Raises:
        UserError: a row is too long and the recipe's ``overflow`` says so, or none is left.
    """
    examples: list[Example] = []
    columns: list[Mapping[str, Any]] = []
    reasons: Counter[str] = Counter(left_out)
    for sample in samples:
        found = encode_row(task, sample.row)
        if isinstance(found, Skip):
            reasons[found.reason] += 1
        else:
            examples.append(found)
            columns.append({**sample.row.fields, **sample.columns})
    if not examples:
        raise UserError(
            f"none of the {len(samples)} rows can be scored: {dict(reasons)}", hint="see its rows"
        )
    return Measurable(examples, columns, dict(reasons))


def task_for(opened: LoadedRun, *, max_new_tokens: int | None = None, batch_size: int | None = None) -> Task:
    """The task of an opened model, with the model's own labels and in the model's own units.

    Args:
        opened: the model.
        max_new_tokens: most tokens of an answer; default: the recipe's.
        batch_size: most rows at once; default: the recipe's.
    """
    recipe, generate = opened.recipe, opened.recipe.eval.generate
    generate = generate.model_copy(
        update={
            "max_new_tokens": max_new_tokens or generate.max_new_tokens,
            "batch_size": batch_size or generate.batch_size,
        }
    )
    section = recipe.eval.model_copy(
        update={"batch_size": batch_size or recipe.eval.batch_size, "generate": generate, "positions": False}
    )
    return build_task(
        TaskInputs(
            recipe.model_copy(update={"eval": section}),
            opened.tokenizer if opened.tokenizer is not None else opened.processor,
            max_length=recipe.data.max_length or opened.positions() or UNLIMITED,
            labels=tuple(opened.labels()),
        )
    )
