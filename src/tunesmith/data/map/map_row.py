"""A row on its way through cleaning: what the task gets, and what it is compared by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tunesmith.data.kinds.table import KINDS
from tunesmith.data.map.columns import Shape
from tunesmith.data.map.conversation import template_arguments
from tunesmith.data.map.kind import Cell, Found, Kind, as_json
from tunesmith.data.map.normalise import BadRow, comparable, comparable_lines, exactly
from tunesmith.data.read.raw import RawRow, RawRows
from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.fields import GIVEN, subject_of
from tunesmith.recipe.tasks.spec import Field

_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class MappedRow:
    """A mapped row.

    Attributes:
        row: what the task gets.
        place: path and line, for messages.
        source: number of its source in the recipe.
        columns: the row as read, for ``stratify``.
        input_key: digest of what the model is given, with every run of blanks one blank: rows with the same
            one belong on the same side of a split.
        answer_key: digest of what it is to learn from it, as it stands there.
        same_key: digest of both, with indentation and line ends; rows with the same one are duplicates.
        input_words: what the row itself says in the input: the words of templates and system prompts,
            which all rows share, are left out.
        answer_words: the same of the answer; labels and numbers are left out.
    """

    row: Row
    place: str
    source: int
    columns: Mapping[str, Any]
    input_key: bytes
    answer_key: bytes
    same_key: bytes
    input_words: str
    answer_words: str


@dataclass(slots=True)
class _Compared:
    """What a row is compared by, gathered field by field."""

    inputs: list[str] = field(default_factory=list)
    exact: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    input_words: list[str] = field(default_factory=list)
    answer_words: list[str] = field(default_factory=list)

    def add_input(self, kind: Kind, found: Found, learnt: bool) -> None:
        """A field that the model is given; ``learnt``: nothing else is there to be learnt."""
        before, after = (found.value, None) if kind.split is None else kind.split(found.value)
        how = exactly if learnt and kind.split is None else comparable_lines
        self.inputs.append(kind.spell(before, comparable))
        # what no text is spelt in has one spelling, which may take long
        self.exact.append(self.inputs[-1] if kind.content is not None else kind.spell(before, how))
        if kind.split is not None:
            self.answers.append(kind.spell(after, exactly))
        self.input_words.append(found.words)
        self.answer_words.append(found.answer_words)

    def add_target(self, kind: Kind, found: Found) -> None:
        """A field that the model is to learn to give."""
        self.answers.append(kind.spell(found.value, exactly))
        self.answer_words += [found.words, found.answer_words]

    def add_given(self, given: Mapping[str, Any]) -> None:
        """What stands beside the fields."""
        beside = [as_json({name: given[name]}) for name in GIVEN if name in given]
        self.inputs += beside
        self.exact += beside

    def add_nothing(self, target: bool) -> None:
        """A field that this row is without."""
        for spelled in (self.answers,) if target else (self.inputs, self.exact):
            spelled.append("")


def map_rows(raw: RawRows, shape: Shape, source: int) -> tuple[list[MappedRow], list[Skip]]:
    """Every row in the terms of the task; those that have no such terms are skips."""
    samples: list[MappedRow] = []
    skips: list[Skip] = []
    for row in raw.rows:
        try:
            samples.append(_map_row(row, raw, shape, source))
        except BadRow as bad:
            skips.append(Skip(row.id, bad.reason, bad.detail))
    return samples, skips


def read_fields(fields: Sequence[Field], shape: Shape, raw: RawRow, source: RawRows) -> dict[str, Found]:
    """What a row has in these fields; optional ones may be missing.

    Raises:
        BadRow: a value is missing or malformed.
    """
    found: dict[str, Found] = {}
    folder = source.folder_of(raw.id)
    for one in fields:
        if not shape.has(one):
            continue
        try:
            found[one.name] = KINDS[one.kind].read(Cell(one, shape, raw.columns, folder, source.roots))
        except BadRow as bad:
            if not (one.optional and bad.reason == "empty"):
                raise
    for one in fields:
        check = KINDS[one.kind].check
        if check is not None and one.name in found:
            values = {name: each.value for name, each in found.items()}
            check(values[one.name], one, subject_of(one, shape.schema), values)
    return found


def _map_row(raw: RawRow, source_rows: RawRows, shape: Shape, source: int) -> MappedRow:
    schema = shape.schema
    found = read_fields(schema.fields, shape, raw, source_rows)
    compared = _Compared()
    for one in schema.inputs:
        if one.name in found:
            compared.add_input(KINDS[one.kind], found[one.name], not schema.targets)
        else:
            compared.add_nothing(target=False)
    given = template_arguments(raw.columns, shape.given) if shape.given else {}
    compared.add_given(given)
    for one in schema.targets:
        if one.name in found:
            compared.add_target(KINDS[one.kind], found[one.name])
        else:
            compared.add_nothing(target=True)
    return MappedRow(
        Row(raw.id, {name: each.value for name, each in found.items()} | given, schema),
        source_rows.where(raw.id),
        source,
        raw.columns,
        input_key=_key(compared.inputs),
        answer_key=_key(compared.answers),
        same_key=_key([*compared.exact, *compared.answers]),
        input_words=" ".join(compared.input_words).strip(),
        answer_words=" ".join(compared.answer_words).strip(),
    )


def refuse_lists(raw: RawRows, shape: Shape, where: str) -> None:
    """Several labels or numbers for one row are another task, and no row of such a file can be mended.

    Raises:
        UserError: a field that has one class or number a row has lists of them.
    """
    for one in shape.schema.fields:
        name, kind = one.name, KINDS[one.kind].single
        slot = shape.fields[name].column if kind and name in shape.fields else None
        values = [slot.value(row.columns) for row in raw.rows[:_LOOKED_AT]] if slot is not None else []
        if slot is not None and any(isinstance(value, list | tuple) for value in values):
            raise UserError(
                f"`{slot.name}` holds lists, and the task gives one {kind} a row",
                f"{where}.{name}" if where else name,
                f"several at once (multi-label) is not a task here: name a column with one {kind} a row, or "
                "learn the list as text with `task: causal-lm`, from a column that holds it as text",
            )


def _key(parts: Sequence[str]) -> bytes:
    return blake2b(json.dumps(parts).encode(), digest_size=16).digest()
