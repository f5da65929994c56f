"""Which rows a step saw, and in which steps a row was learnt: from ``rows.jsonl`` and ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.checkpoint.journal import read_journal
from tunesmith.checkpoint.plain_file import is_there, read_plain
from tunesmith.data.row_order import RecordedOrder, hash_of_samples, nearest_id, order_from_plain
from tunesmith.errors import UserError
from tunesmith.numbers import number
from tunesmith.report.run_files import MOST_JOURNAL, Record, read_metrics, refuse_no_run

ROWS = "rows.jsonl"
AT_ONCE = 1 << 18
"""Places that are looked through at once."""
LAST_STEP = 10**11
"""A step beyond it is no step of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOfStep:
    """The rows that have a place in a step.

    Attributes:
        step: counted from 1, as in ``metrics.jsonl``.
        learnt: ids of those that the step learnt from, in the order of their places.
        excluded: ids of those that the recipe left out.
        updated: whether the step changed the weights.
    """

    step: int
    learnt: tuple[str, ...]
    excluded: tuple[str, ...]
    updated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsOfRow:
    """The steps in which a row has a place; one stands there twice if it has two.

    Attributes:
        row_id: the row.
        learnt: steps that learnt from it.
        passed_over: steps that saw it and changed no weights, since their numbers went wrong.
        excluded: steps in which its place stayed empty.
        steps: how many steps are done.
    """

    row_id: str
    learnt: tuple[int, ...]
    passed_over: tuple[int, ...]
    excluded: tuple[int, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class _Account:
    """What the two files say: orders, the earliest first, and the line of each step."""

    run_dir: Path
    orders: Sequence[RecordedOrder]
    steps: Mapping[int, Record]

    def spans(self) -> Iterator[tuple[RecordedOrder, list[int]]]:
        """Each order with the steps that were made in it, counted from 1."""
        for index, recorded in enumerate(self.orders):
            later = self.orders[index + 1].begins if index + 1 < len(self.orders) else LAST_STEP
            yield recorded, [step for step in self.steps if recorded.begins < step <= later]


def rows_of_step(run_dir: Path, step: int) -> RowsOfStep:
    """The ids of the rows of one step.

    Args:
        run_dir: of a run, whether it is going on or has ended.
        step: counted from 1.

    Raises:
        UserError: no run, no such step, or nothing is known of its rows.
    """
    account = _account(run_dir)
    if step not in account.steps:
        raise UserError(f"there is no step {number(step)} in this run", str(run_dir), _known(account))
    recorded = _order_of(account, step)
    rows = recorded.order.places(step - 1)
    excluded = recorded.order.excluded
    found = RowsOfStep(
        step=step,
        learnt=tuple(recorded.ids[row] for row in rows if row not in excluded),
        excluded=tuple(recorded.ids[row] for row in rows if row in excluded),
        updated=account.steps[step].get("updated", True) is True,
    )
    _make_sure(account, step, found.learnt)
    return found


def steps_of_row(run_dir: Path, row_id: str) -> StepsOfRow:
    """The steps in which one row was learnt.

    Args:
        run_dir: of a run, whether it is going on or has ended.
        row_id: its id, such as ``train.jsonl:12``.

    Raises:
        UserError: no run, no such row, or nothing is known of its rows.
    """
    account = _account(run_dir)
    learnt: list[int] = []
    passed: list[int] = []
    empty: list[int] = []
    known = False
    for recorded, made in account.spans():
        if row_id not in recorded.ids:
            continue
        known, row = True, recorded.ids.index(row_id)
        found = list(_steps_with(recorded, row, made))
        for step in dict.fromkeys((*found, *made[:1], *made[-1:])):
            _make_sure(account, step, [recorded.ids[one] for one in recorded.order.learnt(step - 1)])
        for step in found:
            updated = account.steps[step].get("updated", True) is True
            (empty if row in recorded.order.excluded else learnt if updated else passed).append(step)
    if not known:
        ids = account.orders[-1].ids
        close = nearest_id(row_id, ids)
        hint = f"did you mean `{close}`? " if close else ""
        raise UserError(
            f"this run has no row `{row_id}` to learn from",
            str(run_dir),
            f"{hint}it has {number(len(ids))} rows, the first is `{ids[0]}`; rows that are only evaluated on "
            "are in no step",
        )
    return StepsOfRow(
        row_id=row_id,
        learnt=tuple(learnt),
        passed_over=tuple(passed),
        excluded=tuple(empty),
        steps=max(account.steps),
    )


def known_steps(run_dir: Path) -> str:
    """Which steps there are, as a sentence.

    Raises:
        UserError: no run, or it has made no step.
    """
    return _known(_account(run_dir))


def _steps_with(recorded: RecordedOrder, row: int, made: Sequence[int]) -> Iterator[int]:
    chunk = max(1, AT_ONCE // recorded.order.batch_size)
    for start in range(0, len(made), chunk):
        some = made[start : start + chunk]
        places = recorded.order.places_of([step - 1 for step in some])
        yield from (some[int(index)] for index in np.nonzero(places == row)[0])


def _order_of(account: _Account, step: int) -> RecordedOrder:
    found = [recorded for recorded in account.orders if recorded.begins < step]
    if not found:
        raise UserError(
            f"nothing is known of the rows of step {number(step)}",
            str(account.run_dir / ROWS),
            f"a version that kept no account of rows took it; known is what follows step "
            f"{number(account.orders[0].begins)}",
        )
    return found[-1]


def _make_sure(account: _Account, step: int, learnt: Sequence[str]) -> None:
    """Compare with the hash that the step wrote down."""
    told = account.steps[step].get("samples")
    if told is not None and told != hash_of_samples(learnt):
        raise UserError(
            f"{ROWS} does not tell which rows step {number(step)} saw: its hash in metrics.jsonl is another",
            str(account.run_dir),
            "one of the two files was edited or damaged, or another version with another order wrote them",
        )


def _known(account: _Account) -> str:
    first, last = min(account.steps), max(account.steps)
    return (
        f"known are the steps {number(first)} to {number(last)}" if last > first else "known is step 1 alone"
    )


def _account(run_dir: Path) -> _Account:
    refuse_no_run(run_dir)
    if not is_there(run_dir / "metrics.jsonl") and is_there(run_dir / "variants.json"):
        raise UserError(
            "several runs lie in this folder, one a variant", str(run_dir), "name the folder of one of them"
        )
    for _ in range(3):  # a run that goes on at this moment may write one file between two looks
        written = read_journal(run_dir / ROWS)
        steps = _steps(run_dir)
        if written == read_journal(run_dir / ROWS):
            break
    if not steps:
        raise UserError(
            "this run has made no step yet", str(run_dir), "`tunesmith watch RUN` shows how it stands"
        )
    if not written:
        raise UserError(
            "this run keeps no account of its rows",
            str(run_dir / ROWS),
            "a version that knew nothing of it wrote the run; a run that goes on with this one keeps it",
        )
    return _Account(run_dir, _orders(run_dir, written), steps)


def _steps(run_dir: Path) -> dict[int, Record]:
    try:
        text = read_plain(run_dir / "metrics.jsonl", MOST_JOURNAL).decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise UserError(f"it cannot be read: {problem.strerror}", str(run_dir / "metrics.jsonl")) from None
    train, _ = read_metrics(text, [])
    return {record["step"]: record for record in train if 1 <= record["step"] <= LAST_STEP}


def _orders(run_dir: Path, written: Sequence[Record]) -> list[RecordedOrder]:
    try:
        return [order_from_plain(record) for record in written]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise UserError(
            f"it is damaged: {problem}",
            str(run_dir / ROWS),
            "bring it back from a copy; the run itself needs none of it",
        ) from None
