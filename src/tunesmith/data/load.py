"""From the recipe's ``data`` to rows that a task can encode: read, map, clean, split, clean again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.data.clean.duplicates import clean_duplicates, clean_skips, seeks_near_duplicates
from tunesmith.data.clean.exclusions import excluded_places, excluded_rows
from tunesmith.data.clean.findings import NOTHING, Findings
from tunesmith.data.clean.label_variants import clean_labels
from tunesmith.data.encode import Example
from tunesmith.data.eval_splits import (
    EvalSplits,
    GroupColumns,
    group_columns,
    keep_apart,
    named_columns,
    own_sources,
    split_eval_rows,
)
from tunesmith.data.fingerprint import rows_fingerprint
from tunesmith.data.map.columns import MEANING, choose_shape, unused_columns
from tunesmith.data.map.map_row import MappedRow, map_rows, refuse_lists
from tunesmith.data.map.rewrite import rewrite_values
from tunesmith.data.mixture import check_weights, make_mixture
from tunesmith.data.read.rows import read_rows, row_labels
from tunesmith.data.report import DataReport, SourceRows
from tunesmith.data.row import Row, Skip
from tunesmith.data.row_order import RowOrder
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Clean, Data, Rows
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.tasks.spec import RowSchema
from tunesmith.suggest import listed


@dataclass(frozen=True, slots=True)
class LoadedRows:
    """Rows, cleaned and parted.

    Attributes:
        train: to learn from, in the order of the sources.
        eval: to evaluate on.
        source_of: per training row, the number of its source (for ``make_mixture``).
        weights: per source of ``data.train``.
        report: what was read, found and dropped.
        fingerprint: SHA-256 over all rows that are left, in order.
        test: to be scored once, at the end.
        sets: further evaluation sets by their names.
        marks: of evaluation rows, the columns that the recipe groups them by.
        excluded: ids that the recipe leaves out; their rows are among the others, to keep their places.
    """

    train: tuple[Row, ...]
    eval: tuple[Row, ...]
    source_of: tuple[int, ...]
    weights: tuple[float | None, ...]
    report: DataReport
    fingerprint: str
    test: tuple[Row, ...] = ()
    sets: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    marks: GroupColumns = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Source:
    samples: list[MappedRow]
    skips: list[tuple[Skip, str]]
    rows: SourceRows
    note: str = ""


def load_rows(
    data: Data, schema: RowSchema, seed: int, *, folder: Path | None = None, evaluation: Eval | None = None
) -> LoadedRows:
    """Everything up to encoding; the same on every process.

    Args:
        data: the recipe's section.
        schema: what the task's rows have.
        seed: decides which rows are held out.
        folder: the recipe's folder, for ``python:`` sources; default: the working directory.
        evaluation: the recipe's ``eval``, for further sets and the columns that it groups rows by.

    Raises:
        UserError: a source cannot be read or mapped, a policy says ``error``, or no row is left.
    """
    weights = tuple(rows.weight for rows in data.train)
    check_weights(weights, "data.train")
    evaluation = evaluation or Eval()
    own, used = own_sources(data, evaluation), named_columns(data, evaluation)
    labels = row_labels([*data.train, *own.values()])
    sources = [
        _load_source(
            rows, labels[number], number, schema, used, folder=folder, where=_where(data, number), seed=seed
        )
        for number, rows in enumerate(data.train)
    ]
    findings = _clean_skips(sources, data, NOTHING)
    samples = [sample for source in sources for sample in source.samples]
    looked = seeks_near_duplicates(data.clean, len(samples))
    samples, findings = clean_duplicates(samples, data.clean, findings)
    _refuse_nothing(samples, sources, "data.train")
    others: dict[str, Sequence[MappedRow]] = {}
    for (where, rows), label in zip(own.items(), labels[len(data.train) :], strict=True):
        source = _load_own(rows, label, schema, used, folder=folder, where=where, seed=seed)
        sources.append(source)
        findings = _clean_skips([source], data, findings)
        others[where], findings = clean_duplicates(source.samples, data.clean, findings)
        _refuse_nothing(others[where], [source], where)
    every = [*samples, *(sample for rows in others.values() for sample in rows)]
    findings = clean_labels(every, data.clean, findings)
    left, held_out = split_eval_rows(samples, others, data, seed, evaluation.cluster)
    train, held_out, findings = keep_apart(left, held_out, data.clean, findings)
    if not train:
        raise UserError(
            "no row is left to train on: all of them are evaluated on as well",
            "data.train",
            "give `data.eval` rows that ask other things, or set `data.clean.leakage: keep`",
        )
    excluded = excluded_rows(data.exclude, _ids(sources[: len(data.train)]), held_out)
    report = DataReport(
        sources=tuple(source.rows for source in sources),
        train=len(train),
        eval=len(held_out.eval),
        findings=findings,
        looked_for_near=looked,
        fingerprint=_fingerprint(train, held_out, excluded),
        test=len(held_out.test),
        sets={name: len(rows) for name, rows in held_out.sets.items()},
        notes=tuple(dict.fromkeys(source.note for source in sources if source.note)),
    )
    return LoadedRows(
        _rows(train),
        _rows(held_out.eval),
        source_of=tuple(sample.source for sample in train),
        weights=weights,
        report=report,
        fingerprint=report.fingerprint,
        test=_rows(held_out.test),
        sets={name: _rows(rows) for name, rows in held_out.sets.items()},
        marks=group_columns(held_out, evaluation),
        excluded=excluded,
    )


def order_of(rows: LoadedRows, examples: Sequence[Example], batch_size: int, seed: int) -> RowOrder:
    """In which order the examples that were made of training rows are seen.

    Raises:
        UserError: the recipe leaves out all of them.
    """
    kept = {example["id"] for example in examples}
    sources = [source for row, source in zip(rows.train, rows.source_of, strict=True) if row.id in kept]
    mixture, excluded = make_mixture(sources, rows.weights), excluded_places(examples, rows.excluded)
    return RowOrder(mixture=mixture, batch_size=batch_size, seed=seed, excluded=excluded)


def _ids(sources: Sequence[_Source]) -> Iterator[str]:
    """Of every row that was read, whatever becomes of it."""
    for source in sources:
        yield from (sample.row.id for sample in source.samples)
        yield from (skip.id for skip, _ in source.skips)


def _rows(samples: Sequence[MappedRow]) -> tuple[Row, ...]:
    return tuple(sample.row for sample in samples)


def _fingerprint(train: Sequence[MappedRow], held_out: EvalSplits, excluded: Collection[str]) -> str:
    rows = (*_rows(train), *_rows(held_out.all()))
    left_out = sorted(sample.row.id for sample in train if sample.row.id in excluded)
    return rows_fingerprint(rows, str(len(train)), *(["without", *left_out] if left_out else []))


def _load_own(
    rows: Rows,
    label: str,
    schema: RowSchema,
    used: Sequence[str],
    *,
    folder: Path | None,
    where: str,
    seed: int,
) -> _Source:
    if rows.weight is not None:
        raise UserError("`weight` means nothing for evaluation", where, "leave it out")
    return _load_source(rows, label, -1, schema, used, folder=folder, where=where, seed=seed)


def first_rows(rows: Rows, count: int) -> Rows:
    """The same source, read no further than so many rows."""
    return rows.model_copy(update={"limit": None, "first": min(count, rows.first or count)})


def read_head(
    rows: Rows, schema: RowSchema, clean: Clean, *, count: int, folder: Path | None, where: str
) -> list[MappedRow]:
    """The first rows of one source in the terms of the task, judged as a run judges all of them.

    Args:
        rows: the recipe's description of it.
        schema: what the task's rows have.
        clean: what happens to rows that should not be there.
        count: how many rows are read.
        folder: the recipe's folder.
        where: the place in the recipe, for messages.

    Raises:
        UserError: what a run would refuse of these rows.
    """
    head = first_rows(rows, count)
    source = _load_source(head, "", 0, schema, (), folder=folder, where=where, seed=0)
    clean_skips(source.skips, clean, NOTHING)
    _refuse_nothing(source.samples, [source], where)
    return source.samples


def _load_source(
    rows: Rows,
    label: str,
    number: int,
    schema: RowSchema,
    used: Sequence[str],
    *,
    folder: Path | None,
    where: str,
    seed: int,
) -> _Source:
    raw = read_rows(rows, label=label or None, folder=folder, where=where, seed=seed)
    skips = list(raw.skips)
    samples: list[MappedRow] = []
    note = ""
    if raw.rows:
        raw = rewrite_values(raw, rows.values, where)
        shape = choose_shape(rows, raw.columns(), schema, where)
        refuse_lists(raw, shape, where)
        left = unused_columns(shape, raw.columns(), used)
        note = _unused(left, rows.source)
        samples, unmapped = map_rows(raw, shape, number)
        skips += [_with_header_hint(skip, rows) for skip in unmapped]
    placed = [(skip, raw.where(skip.id)) for skip in skips]
    seen = SourceRows(rows.source, len(raw.rows) + len(raw.skips), raw.taken, raw.of)
    return _Source(samples, placed, seen, note)


def _unused(columns: Sequence[str], source: str) -> str:
    """What to say of columns that nothing is taken from; some have a meaning that would be missed."""
    if not columns:
        return ""
    kind = "warning" if MEANING & {name.lower() for name in columns} else "note"
    return f"{kind}: nothing is taken from {listed(columns)} of `{source}`"


def _with_header_hint(skip: Skip, rows: Rows) -> Skip:
    if rows.columns is None or not skip.id.endswith(":1") or skip.reason != "malformed":
        return skip
    return Skip(skip.id, skip.reason, f"{skip.detail}; if line 1 is a header, leave `columns` out")


def _clean_skips(sources: Sequence[_Source], data: Data, findings: Findings) -> Findings:
    skips = [skip for source in sources for skip in source.skips]
    return clean_skips(skips, data.clean, findings)


def _refuse_nothing(samples: Sequence[MappedRow], sources: Sequence[_Source], where: str) -> None:
    if samples:
        return
    named = ", ".join(f"`{source.rows.source}`" for source in sources)
    read = sum(source.rows.rows for source in sources)
    if read == 0:
        raise UserError(f"{named} has no rows", where, "see whether the file is the right one")
    reason = next((skip.detail for source in sources for skip, _ in source.skips), "")
    raise UserError(
        f"none of the {read} rows of {named} can be used" + (f"; the first: {reason}" if reason else ""),
        where,
        "look at the columns that the recipe names, and at `data.clean`",
    )


def _where(data: Data, number: int) -> str:
    return "data.train" if len(data.train) == 1 else f"data.train, source {number + 1}"
