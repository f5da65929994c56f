"""The rows that a model has wrong, the largest loss first, by class pair where there are classes. Pure."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith import numbers
from tunesmith.metrics.match import collapse_blanks
from tunesmith.report.errors.residuals import Residuals, numeric, residuals
from tunesmith.report.sections.samples import told
from tunesmith.tasks.task import UNFINISHED, Scored

MOST_GROUPS, MOST_OF_PAIR, MOST_ROWS = 12, 5, 40
MOST_CHARACTERS, MOST_LABEL = 600, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRow:
    """One row that went wrong, in words; ``prediction`` is ``–`` where the task makes none."""

    id: str
    input: str
    reference: str
    prediction: str
    loss: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongGroup:
    """Rows with one mistake in common: ``truth`` taken for ``said``, both empty where there are no classes.

    Attributes:
        truth: the right class.
        said: what the model said.
        count: how many rows there are.
        rows: those with the largest losses, the largest first.
    """

    truth: str
    said: str
    count: int
    rows: tuple[WrongRow, ...]

    @property
    def left_out(self) -> int:
        """How many rows of the group are not listed."""
        return self.count - len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is wrong still.

    Attributes:
        summary: how much of the whole, in a sentence.
        order: how the rows are ordered, in a sentence.
        measure: heading of the column that orders them.
        groups: class pairs, the commonest first, or a single group.
        groups_left_out: pairs that are not listed.
        residuals: for tasks whose answers are numbers.
    """

    summary: str
    order: str
    measure: str
    groups: tuple[WrongGroup, ...]
    groups_left_out: int = 0
    residuals: Residuals | None = None


def remaining(scored: Sequence[Scored]) -> Remaining | None:
    """The errors among scored rows; ``None`` if nothing was scored."""
    if not scored:
        return None
    if numeric(scored):
        return _of_numbers(scored)
    if all(one.prediction is None for one in scored):
        return Remaining(
            summary=f"{numbers.number(len(scored))} rows were scored; this task asks for no answers.",
            order="The rows with the largest loss for each token.",
            measure="loss",
            groups=(_group("", "", scored, MOST_ROWS),),
        )
    wrong = [one for one in scored if not is_right(one)]
    total, count = numbers.number(len(scored)), numbers.number(len(wrong))
    share = numbers.percent(len(wrong) / len(scored))
    if not wrong:
        return Remaining(
            summary=f"None: all {total} answers equal the reference.", order="", measure="", groups=()
        )
    by_pair, labels = has_classes(scored), {collapse_blanks(str(one.reference)) for one in scored}
    groups = list(_pairs(wrong, labels)) if by_pair else [_group("", "", wrong, MOST_ROWS)]
    kind = "are wrong" if by_pair else "differ from the reference"
    order = "By class pair, the commonest first; in each, the" if by_pair else "The"
    return Remaining(
        summary=f"{count} of {total} answers ({share}) {kind}.",
        order=f"{order} largest loss first: where the model was most sure of something else.",
        measure="loss",
        groups=tuple(groups[:MOST_GROUPS]),
        groups_left_out=max(0, len(groups) - MOST_GROUPS),
    )


def is_right(one: Scored) -> bool:
    """Whether an answer reads the same as its reference, blanks aside."""
    return collapse_blanks(str(one.prediction)) == collapse_blanks(str(one.reference))


def has_classes(scored: Sequence[Scored]) -> bool:
    """Whether the references are few short labels that come again and again, not texts of their own."""
    labels = {str(one.reference) for one in scored}
    return 2 * len(labels) <= len(scored) and all(len(label) <= MOST_LABEL for label in labels)


def _pairs(wrong: Sequence[Scored], labels: Container[str]) -> Iterable[WrongGroup]:
    found: dict[tuple[str, str], list[Scored]] = {}
    for one in wrong:
        said = collapse_blanks(str(one.prediction))
        if (begun := said.removesuffix(UNFINISHED)) in labels:  # what would follow it does not matter here
            said = begun
        found.setdefault((collapse_blanks(str(one.reference)), _short(said, MOST_LABEL)), []).append(one)
    for (truth, said), rows in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        yield _group(truth, said or "(nothing)", rows, MOST_OF_PAIR)


def _of_numbers(scored: Sequence[Scored]) -> Remaining:
    found = residuals(scored)
    worst = sorted(scored, key=lambda one: -_miss(one))[:MOST_ROWS]
    rows = tuple(_row(one, numbers.number(_miss(one))) for one in worst)
    return Remaining(
        summary=found.summary,
        order="The answers that are farthest off first.",
        measure="off by",
        groups=(WrongGroup(truth="", said="", count=len(scored), rows=rows),),
        residuals=found,
    )


def _group(truth: str, said: str, rows: Sequence[Scored], most: int) -> WrongGroup:
    ordered = sorted(rows, key=lambda one: -_loss(one))[:most]
    shown = tuple(_row(one, numbers.number(_loss(one))) for one in ordered)
    return WrongGroup(truth=truth, said=said, count=len(rows), rows=shown)


def _row(one: Scored, measure: str) -> WrongRow:
    return WrongRow(
        id=one.id,
        input=_short(one.input, MOST_CHARACTERS),
        reference=_answer(one.reference),
        prediction=_answer(one.prediction),
        loss=measure,
    )


def _answer(value: Any) -> str:
    if value is None:
        return numbers.ABSENT
    text = numbers.number(float(value)) if numbers.is_number(value) else told(value)
    return _short(text, MOST_CHARACTERS) or "(nothing)"


def _loss(one: Scored) -> float:
    """For each token; what is not a number counts as the worst."""
    loss = one.loss / max(one.count, 1)
    return math.inf if math.isnan(loss) else loss


def _miss(one: Scored) -> float:
    miss = abs(float(one.prediction) - float(one.reference))
    return math.inf if math.isnan(miss) else miss


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
