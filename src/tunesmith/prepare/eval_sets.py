"""What a run measures on beside its evaluation rows, and how those rows are grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.eval_splits import GroupColumns
from tunesmith.errors import UserError
from tunesmith.judge.schedule.subset import nested_order
from tunesmith.metrics.names import slice_part
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.tasks.spec import Output
from tunesmith.tasks.task import Example

LEAST_ROWS = 10
"""Rows below which a slice tells nothing, and is not measured apart."""
MOST_SLICES = 50
"""Slices of one column; a column with more values names its rows rather than groups of them."""
FEW = 64
"""Answers so few are kinds of an answer, and a subset holds each one's share."""
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSets:
    """Groups of the evaluation examples, and examples that are measured on apart from them.

    Attributes:
        clusters: number of each evaluation example's cluster; ``None``: each stands alone.
        slices: column and value to the places of their evaluation examples.
        telling: columns whose every slice has rows of one label or target only.
        sets: further evaluation sets by their names.
        test: scored once, at the end.
    """

    clusters: Indices | None = None
    slices: Mapping[tuple[str, str], Indices] = field(default_factory=dict)
    telling: frozenset[str] = frozenset()
    sets: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    test: Sequence[Example] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Examples of each further set, and of each slice, ``[column=value]``."""
        slices = {slice_part(*part): len(places) for part, places in self.slices.items()}
        return {name: len(rows) for name, rows in self.sets.items()} | slices

    def places(self, where: str) -> Indices | None:
        """Places of the examples of a slice, by its name: ``[column=value]``; ``None`` if there is none."""
        return next((places for part, places in self.slices.items() if where == slice_part(*part)), None)

    def clusters_of(self, where: str) -> Indices | None:
        """Clusters of the examples that a metric is measured on; those of further sets stand alone."""
        if not where or self.clusters is None:
            return self.clusters
        places = self.places(where)
        return None if places is None else self.clusters[places]


def make_eval_sets(parts: PreparedInputs) -> tuple[Sequence[Example], EvalSets]:
    """The evaluation examples, in an order whose every beginning is a fair sample where that is asked for.

    Raises:
        UserError: if a column of ``eval.slices`` does not part the rows into groups worth measuring.
    """
    section, examples = parts.recipe.eval, parts.held_out.eval
    output = parts.head.task.output
    if section.subset == "auto":
        order = nested_order(strata(examples, output), parts.recipe.run.seed)
        examples = [examples[index] for index in order]
    ids = [str(example["id"]) for example in examples]
    slices = slices_of(ids, section, parts.held_out.marks)
    return examples, EvalSets(
        clusters=clusters_of(ids, section.cluster, parts.held_out.marks),
        slices=slices,
        telling=_telling(examples, slices) if output != "tokens" else frozenset(),
        sets=parts.held_out.sets,
        test=parts.held_out.test,
    )


def _telling(examples: Sequence[Example], slices: Mapping[tuple[str, str], Indices]) -> frozenset[str]:
    """Columns that tell the label, since no slice by them has two labels or two targets."""
    mixed = {
        column
        for (column, _), places in slices.items()
        if len({examples[place]["reference"] for place in places}) > 1
    }
    return frozenset(column for column, _ in slices) - mixed


def strata(examples: Sequence[Example], output: Output) -> list[Hashable]:
    """Which examples are alike: by label, by the tenth of the targets, or by the answer if there are few."""
    answers = [example["reference"] for example in examples]
    if output == "classes":
        return list(answers)
    if output == "number":
        targets = np.array(answers)
        return [
            int(tenth) for tenth in np.searchsorted(np.quantile(targets, np.arange(0.1, 1, 0.1)), targets)
        ]
    return list(answers) if len(set(answers)) <= FEW else [0] * len(examples)


def clusters_of(ids: Sequence[str], column: str | None, marks: GroupColumns) -> Indices | None:
    """The number of each row's cluster; ``None`` without a column. Rows without a value belong to nobody."""
    if column is None:
        return None
    values = [(marks[row][column] or None, row if not marks[row][column] else "") for row in ids]
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    if len(numbers) < 2:
        raise UserError(
            f"all evaluation rows have the same `{column}`: one cluster tells nothing about another",
            "eval.cluster",
            "name a column that tells which few rows belong together, or take it away",
        )
    return np.array([numbers[value] for value in values])


def slices_of(ids: Sequence[str], section: Eval, marks: GroupColumns) -> dict[tuple[str, str], Indices]:
    """Column and value to the places of their rows.

    Raises:
        UserError: a column does not part the rows into groups worth measuring.
    """
    found: dict[tuple[str, str], Indices] = {}
    for column in section.columns:
        values = np.array([marks[row][column] for row in ids])
        counts = Counter(values.tolist())
        large = sorted(value for value, count in counts.items() if count >= LEAST_ROWS)
        if len(large) < 2 or len(large) > MOST_SLICES:
            shown = ", ".join(f"`{value}` ({count})" for value, count in counts.most_common(4))
            raise UserError(
                f"`{column}` has {len(counts):,} values in {len(ids):,} evaluation rows, "
                f"{len(large)} of them in {LEAST_ROWS} rows or more: {shown}",
                "eval.slices",
                f"name a column with 2 to {MOST_SLICES} such values, or hold out more rows",
            )
        found |= {(column, value): np.flatnonzero(values == value) for value in large}
    return found
