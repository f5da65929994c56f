"""Rows that are measured on and never learnt from: evaluation rows, a test split, further sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.data.clean.duplicates import clean_leakage
from tunesmith.data.clean.findings import Findings
from tunesmith.data.map.map_row import MappedRow
from tunesmith.data.split import column_text, hold_out, holdout_count
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Clean, Data, Holdout, Rows
from tunesmith.recipe.schema.eval import Eval

EVAL, TEST, SETS = "data.eval", "data.test", "eval.sets"
GroupColumns = Mapping[str, Mapping[str, str]]
"""Row id to column to value, for the columns by which evaluation rows belong together or are sliced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSplits:
    """What is measured on.

    Attributes:
        eval: what decisions are made on.
        test: what no decision sees; empty if the recipe asks for none.
        sets: further evaluation sets by their names.
    """

    eval: Sequence[MappedRow]
    test: Sequence[MappedRow] = ()
    sets: Mapping[str, Sequence[MappedRow]] = field(default_factory=dict)

    def all(self) -> list[MappedRow]:
        """Every row that is measured on."""
        return [*self.eval, *self.test, *(sample for rows in self.sets.values() for sample in rows)]


def own_sources(data: Data, evaluation: Eval) -> dict[str, Rows]:
    """Place in the recipe to rows that are not held out of the training rows, but have their own source."""
    given = {EVAL: data.eval, TEST: data.test}
    given |= {f"{SETS}.{name}": rows for name, rows in evaluation.sets.items()}
    return {where: rows for where, rows in given.items() if isinstance(rows, Rows)}


def named_columns(data: Data, evaluation: Eval) -> list[str]:
    """The columns that the recipe names elsewhere than as fields of the rows."""
    parts = [part.stratify for part in (data.eval, data.test) if isinstance(part, Holdout)]
    more = [evaluation.cluster, evaluation.code.tests, *evaluation.columns, *parts]
    return [name for name in more if name is not None]


def split_eval_rows(
    samples: Sequence[MappedRow],
    own: Mapping[str, Sequence[MappedRow]],
    data: Data,
    seed: int,
    together: str | None,
) -> tuple[Sequence[MappedRow], EvalSplits]:
    """Part training rows from those that are held out, the evaluation rows first.

    So a test split that is added later leaves the evaluation rows as they were.

    Args:
        samples: rows of ``data.train``, without duplicates.
        own: rows that have a source of their own, by their place in the recipe.
        data: the recipe's section.
        seed: decides which rows are held out.
        together: column whose equal values stand on one side.

    Raises:
        UserError: nothing would be left to train on.
    """
    train, found = samples, dict(own)
    for where, section in ((EVAL, data.eval), (TEST, data.test)):
        if isinstance(section, Holdout):
            # a share is one of all rows, whatever was held out before
            count = float(holdout_count(len(samples), section.holdout, where))
            part = section.model_copy(update={"holdout": count})
            apart = data.clean.leakage == "keep"
            train, found[where] = hold_out(train, part, seed, where, together, apart=apart)
    sets = {where.removeprefix(f"{SETS}."): rows for where, rows in found.items() if where.startswith(SETS)}
    return train, EvalSplits(eval=found[EVAL], test=found.get(TEST, ()), sets=sets)


def keep_apart(
    train: Sequence[MappedRow], held_out: EvalSplits, clean: Clean, findings: Findings
) -> tuple[list[MappedRow], EvalSplits, Findings]:
    """Find rows that stand on two sides, and drop, keep or refuse them as ``clean.leakage`` says.

    Training rows give way to all others, and the rows that decide give way to the test split.

    Raises:
        UserError: there are some, and the policy is ``error``; or a part would be left empty.
    """
    if held_out.test:
        parts = {EVAL: held_out.eval, **{f"{SETS}.{name}": rows for name, rows in held_out.sets.items()}}
        for where, rows in parts.items():
            parts[where], findings = clean_leakage(
                rows,
                held_out.test,
                clean,
                findings,
                what=f"rows of `{where}` that stand in the test split too",
            )
            if not parts[where]:
                raise UserError("every row of it stands in `data.test` as well", where, "give it other rows")
        sets = {name: parts[f"{SETS}.{name}"] for name in held_out.sets}
        held_out = replace(held_out, eval=parts[EVAL], sets=sets)
    kept, findings = clean_leakage(train, held_out.all(), clean, findings)
    return kept, held_out, findings


def group_columns(held_out: EvalSplits, evaluation: Eval) -> GroupColumns:
    """Values of the columns that ``eval.cluster`` and ``eval.slices`` name, per row.

    The column of tests that ``eval.code`` names is that of further sets and of the test split as well.

    Raises:
        UserError: if a row has no such column, or its value is no text.
    """
    named = dict.fromkeys(evaluation.columns, "eval.slices")
    if evaluation.cluster is not None:
        named.setdefault(evaluation.cluster, "eval.cluster")
    tests = {evaluation.code.tests: "eval.code.tests"} if evaluation.code.tests is not None else {}
    marks: dict[str, dict[str, str]] = {}
    for columns, samples in ((tests, held_out.all()), (named, held_out.eval)):
        for sample in samples if columns else ():
            found = {column: column_text(sample, column, key) for column, key in columns.items()}
            marks.setdefault(sample.row.id, {}).update(found)
    return marks
