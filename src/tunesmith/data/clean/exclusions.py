"""Rows that the recipe leaves out by name: which they are, and whether they are there at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from tunesmith.data.encode import Example
from tunesmith.data.eval_splits import EVAL, SETS, TEST, EvalSplits
from tunesmith.data.row_order import nearest_id
from tunesmith.errors import UserError
from tunesmith.recipe.source_syntax import is_row_id

KEY = "data.exclude"
MOST_SHOWN = 5


def excluded_rows(entries: Sequence[str], read: Iterable[str], held_out: EvalSplits) -> frozenset[str]:
    """Ids of the rows that a recipe leaves out, each of which is there.

    Args:
        entries: of ``data.exclude``.
        read: ids of every row that was read to learn from, whatever became of it.
        held_out: what is measured on.

    Raises:
        UserError: a file of ids cannot be read, or an id is not there, or is measured on.
    """
    named = excluded_ids(entries)
    if not named:
        return frozenset()
    parts = {EVAL: held_out.eval, TEST: held_out.test}
    parts |= {f"{SETS}.{name}": rows for name, rows in held_out.sets.items()}
    measured = {sample.row.id: where for where, rows in parts.items() for sample in rows}
    refuse_other_rows(named, set(read), measured)
    return frozenset(named)


def excluded_ids(entries: Sequence[str]) -> dict[str, str]:
    """Ids that a recipe names, itself or in files with one id a line, each with the place that names it.

    Args:
        entries: of ``data.exclude``: ids and paths of files.

    Raises:
        UserError: a file cannot be read, or a line of it is no id.
    """
    found: dict[str, str] = {}
    for entry in entries:
        if is_row_id(entry):
            found.setdefault(entry, KEY)
            continue
        for number, line in enumerate(_lines(Path(entry)), 1):
            if line and not is_row_id(line):
                raise UserError(
                    f"`{line[:80]}` is no row's id",
                    f"{entry}:{number}",
                    "write one id a line, such as `train.jsonl:12`; `tunesmith rows RUN --step N --ids` does",
                )
            if line:
                found.setdefault(line, f"{entry}:{number}")
    return found


def refuse_other_rows(named: Mapping[str, str], train: Collection[str], measured: Mapping[str, str]) -> None:
    """Make sure that only rows to learn from are left out.

    Args:
        named: ids with the places that name them.
        train: ids of every row that was read to learn from, whatever became of it.
        measured: ids of rows that are evaluated on, each with the part it belongs to.

    Raises:
        UserError: for the ids that are not there, or for those that are evaluated on.
    """
    evaluated = [row for row in named if row in measured]
    if evaluated:
        first = evaluated[0]
        raise UserError(
            f"{_listed(evaluated)} {_are(evaluated)} evaluated on (`{measured[first]}`); only rows to learn "
            "from can be left out, for scores can be compared if they are of the same rows",
            named[first],
            f"take {'it' if len(evaluated) == 1 else 'them'} out of `{KEY}`",
        )
    unknown = [row for row in named if row not in train]
    if unknown:
        first = unknown[0]
        close = nearest_id(first, train)
        raise UserError(
            f"there {_are(unknown)} no row {_listed(unknown)} to leave out",
            named[first],
            (f"did you mean `{close}`? " if close else "")
            + "an id is `<file name>:<line>`; `tunesmith rows RUN --step N` names those of a step, and of a "
            "source with `limit` or `first` only the rows that are taken are there",
        )


def excluded_places(examples: Sequence[Example], ids: Collection[str]) -> frozenset[int]:
    """Places of the examples with these ids.

    Raises:
        UserError: if that is all of them.
    """
    excluded = frozenset(index for index, example in enumerate(examples) if example["id"] in ids)
    if examples and len(excluded) == len(examples):
        what = "`data.exclude` leaves out every row that could be learnt from"
        raise UserError(what, "data.exclude", "leave out fewer")
    return excluded


def without(examples: Sequence[Example], excluded: Collection[int]) -> Sequence[Example]:
    """The examples but those at some places."""
    if not excluded:
        return examples
    return [example for index, example in enumerate(examples) if index not in excluded]


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
        raise UserError(
            f"the ids of rows to leave out cannot be read: {reason}",
            str(path),
            "give a text file with one id a line",
        ) from None


def _listed(rows: Sequence[str]) -> str:
    shown = ", ".join(f"`{row[:80]}`" for row in rows[:MOST_SHOWN])
    return shown if len(rows) <= MOST_SHOWN else f"{shown} and {len(rows) - MOST_SHOWN:,} more"


def _are(rows: Sequence[str]) -> str:
    return "is" if len(rows) == 1 else "are"
