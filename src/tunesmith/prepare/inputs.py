"""From a recipe to rows, processor, task and examples: everything but weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.data.clean.duplicates import clean_skips
from tunesmith.data.clean.exclusions import without
from tunesmith.data.clean.findings import NOTHING
from tunesmith.data.encode import Encoded, encode_rows
from tunesmith.data.eval_splits import GroupColumns
from tunesmith.data.kinds.table import texts_of
from tunesmith.data.load import LoadedRows, load_rows, order_of
from tunesmith.data.report import DataReport, WithoutModel
from tunesmith.data.row import Row, Skip
from tunesmith.data.row_order import RowOrder
from tunesmith.errors import UserError
from tunesmith.model.light_config import known_or_loaded, plain_config
from tunesmith.model.load import Head, load_config
from tunesmith.model.positions import positions_of
from tunesmith.model.processors import load_image_processor, load_tokenizer
from tunesmith.model.tune.prequantized import refuse_stored
from tunesmith.prepare.adapter_settings import closing_token
from tunesmith.prepare.eval_sample import limited
from tunesmith.prepare.trivial_baselines import counts_of, trivial_baselines
from tunesmith.prepare.user_metrics import load_user_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.tasks.build import build_task
from tunesmith.tasks.language.examples import closed
from tunesmith.tasks.language.notes import encoding_notes
from tunesmith.tasks.language.packing import packs
from tunesmith.tasks.language.tokens import giving_up, refuse_unknown_tokens
from tunesmith.tasks.own import with_own_task
from tunesmith.tasks.task import Example, Task, TaskInputs, encode_row

UNLIMITED = 10**9
DRAWN = 4
"""Training rows of which drawings are made, as of the samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What is measured and never learnt from.

    Attributes:
        eval: examples to evaluate on.
        test: examples to be scored once, at the end.
        sets: further evaluation sets by their names.
        marks: of evaluation rows, the columns that the recipe groups them by.
    """

    eval: Sequence[Example]
    test: Sequence[Example] = ()
    sets: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    marks: GroupColumns = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedInputs:
    """What a run learns from and how it is encoded.

    Attributes:
        recipe: resolved.
        processor: tokenizer or image processor.
        config: the model's configuration.
        head: what the task wants of the model's output.
        task: bound to the processor.
        packed: whether examples lie in one row without padding.
        train: examples to learn from.
        held_out: examples to evaluate on.
        order: in which the training examples are seen, and which of them are left out.
        report: of the data.
        first: the first rows to learn from and to evaluate on, of which drawings are made.
    """

    recipe: Recipe
    processor: Any
    config: Any
    head: Head
    task: Task
    packed: bool
    train: Sequence[Example]
    held_out: HeldOut
    order: RowOrder
    report: DataReport
    first: Sequence[Row] = ()


def prepare(
    recipe: Recipe, folder: Path, *, plain: bool = False, look: Callable[[], None] = lambda: None
) -> PreparedInputs:
    """Read, clean, split and encode the data.

    Args:
        recipe: resolved.
        folder: of the recipe's file, for ``python:`` sources and metrics.
        plain: whether a configuration will do that is known without transformers, where there is one.
        look: called between parts and rows; may raise, to leave.

    Raises:
        UserError: for anything that the user must change.
    """
    try:
        return _prepare(recipe, folder, plain=plain, look=look)
    except MemoryError as error:
        raise UserError(
            "the rows do not fit into memory",
            "data",
            "take some of them with `limit` or `first`, or use a machine with more memory",
        ) from error


def _prepare(recipe: Recipe, folder: Path, *, plain: bool, look: Callable[[], None]) -> PreparedInputs:
    recipe = with_own_task(recipe, folder)
    spec = spec_of(recipe.task)
    images = spec.processor == "image"
    load_user_metrics(recipe, folder)
    rows = load_rows(recipe.data, spec.row_schema, recipe.run.seed, folder=folder, evaluation=recipe.eval)
    look()
    rows = limited(rows, recipe.eval.limit, recipe.run.seed)
    bare = Head(spec)
    config_of = known_or_loaded if plain else load_config
    early = plain_config(recipe.model, bare, None) if plain and recipe.model.new is None else None
    processor = (
        load_image_processor(recipe.model)
        if images
        else load_tokenizer(
            recipe.model,
            _texts(rows.train),
            encoder=spec.encoder,
            masks=spec.output == "hidden",
            config=early,
        )
    )
    config = config_of(recipe.model, bare, None if images else len(processor))
    if recipe.model.new is None:
        refuse_stored(config, recipe)
    longest = UNLIMITED if images else _longest(recipe, config)
    packed = packs(recipe, config, spec)
    task = build_task(TaskInputs(recipe, processor, longest, rows.train, packed=packed))
    head = Head(spec, task.class_names())
    if recipe.model.new is not None:
        config = config_of(recipe.model, head, None if images else len(processor))
    return _encode(
        recipe,
        rows,
        processor,
        config=config,
        head=head,
        task=task,
        packed=packed,
        encode=partial(_rows_encoded, recipe, processor, task, longest, look),
    )


def _encode(
    recipe: Recipe,
    rows: LoadedRows,
    processor: Any,
    *,
    config: Any,
    head: Head,
    task: Task,
    packed: bool,
    encode: Callable[..., Encoded],
) -> PreparedInputs:
    images = head.task.processor == "image"
    closing = None if images else closing_token(recipe, processor, config)

    train, held_out = encode(rows.train, closing), encode(rows.eval)
    test, sets = encode(rows.test), {name: encode(each) for name, each in rows.sets.items()}
    others = [skip for part in (held_out, test, *sets.values()) for skip in part.skipped]
    # what only the task can see to be unreadable, such as a picture, is judged like a line that is no JSON
    _judge_unreadable((*train.skipped, *others), recipe)
    tested = {"data.test": test} if rows.test else {}
    _refuse_unusable({"data.train": train, "data.eval": held_out, **tested})
    _refuse_unusable({f"eval.sets.{name}": encoded for name, encoded in sets.items()})
    parts = {"data.train": train, "data.eval": held_out, "data.test": test, **sets}
    refuse_unknown_tokens((e for part in parts.values() for e in part.examples), processor, config)
    order = order_of(rows, train.examples, recipe.batch.size, recipe.run.seed)
    learnt = without(train.examples, order.excluded)
    report = rows.report.with_encoding(
        (*train.skipped, *others),
        train=len(learnt),
        eval=len(held_out.examples),
        truncated=[e["id"] for e in learnt if e.get("truncated")],
        changed=[(e["id"], note) for e in learnt for note in e.get("notes", ())],
        lengths=[] if images else [e["length"] for e in learnt],
        supervised=sum(e["count"] for e in learnt),
    ).with_excluded(rows.excluded, [example["id"] for example in train.examples])
    notes = (*report.notes, *encoding_notes(processor, rows.train, train.examples))
    report = replace(report, test=len(test.examples), sets=_sizes(sets), notes=notes)
    report = _with_classes(report, recipe, task, learnt, held_out.examples)
    return PreparedInputs(
        recipe=recipe,
        processor=processor,
        config=config,
        head=head,
        task=task,
        packed=packed,
        train=train.examples,
        held_out=HeldOut(
            eval=held_out.examples,
            test=test.examples,
            sets={name: encoded.examples for name, encoded in sets.items()},
            marks=rows.marks,
        ),
        order=order,
        report=report,
        first=(*rows.train[:DRAWN], *rows.eval[: recipe.eval.samples]),
    )


def _with_classes(
    report: DataReport,
    recipe: Recipe,
    task: Task,
    train: Sequence[Example],
    held_out: Sequence[Example],
) -> DataReport:
    """The report with the rows of each class, and what is reached without any model."""
    labels = task.class_names()
    counts = {"train": counts_of(train, labels), "eval": counts_of(held_out, labels)}
    own = task.baselines(train, held_out) if train and held_out else {}
    easy = (*trivial_baselines(recipe, train, held_out), *(WithoutModel(*one) for one in own.items()))
    return replace(report, classes=counts if counts["train"] else {}, without_model=easy)


def _rows_encoded(
    recipe: Recipe,
    processor: Any,
    task: Task,
    longest: int,
    look: Callable[[], None],
    rows: Sequence[Row],
    closing: int | None = None,
) -> Encoded:
    def encode(row: Row) -> Example | Skip:
        look()
        with giving_up(row.id):
            return closed(encode_row(task, row), closing, longest)

    spec = spec_of(recipe.task)
    fingerprint = _task_fingerprint(recipe, processor, task)
    fingerprint += "" if closing is None else f" closing {closing}"
    cache = recipe.data.cache and bool(spec.code) and spec.processor == "tokenizer"
    return encode_rows(rows, encode, fingerprint=fingerprint, cache=cache)


def _judge_unreadable(skips: Sequence[Skip], recipe: Recipe) -> None:
    unreadable = [(skip, skip.id) for skip in skips if skip.reason == "malformed"]
    clean_skips(unreadable, recipe.data.clean, NOTHING)


def _sizes(sets: Mapping[str, Encoded]) -> dict[str, int]:
    return {name: len(encoded.examples) for name, encoded in sets.items()}


def _refuse_unusable(parts: Mapping[str, Encoded]) -> None:
    for where, encoded in parts.items():
        if not encoded.examples:
            first = encoded.skipped[0]
            raise UserError(
                f"no row of `{where}` can be used; the first, `{first.id}`: {first.detail or first.reason}",
                where,
                "see `tunesmith preview RECIPE`, `data.max_length` and `data.overflow`",
            )


def _texts(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield from texts_of(row)


def _longest(recipe: Recipe, config: Any) -> int:
    positions, wanted = positions_of(config), recipe.data.max_length
    if positions is not None and wanted is not None and wanted > positions:
        raise UserError(
            f"`data.max_length: {wanted}` is more than the {positions} positions of this model",
            "data.max_length",
            f"set it to {positions} or less, or choose a model with a longer context",
        )
    return wanted or positions or UNLIMITED


def _task_fingerprint(recipe: Recipe, processor: Any, task: Task) -> str:
    settings = {**recipe.task.model_dump(), **task.fingerprint()}
    tokenizer = getattr(processor, "backend_tokenizer", None)
    text = tokenizer.to_str() if tokenizer is not None else repr(processor)
    marks = [getattr(processor, name, None) for name in ("chat_template", "eos_token")]
    described = json.dumps([settings, marks], sort_keys=True, default=str)
    return hashlib.sha256((described + text).encode()).hexdigest()
