"""The command that names rows: those of a step, or the steps of a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import UserError

if TYPE_CHECKING:
    from tunesmith.report.row_steps import StepsOfRow

TEXT_LENGTH = 80


def rows(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Its directory, also while it is going on.")],
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", help="Name the rows that step N learnt from.")
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", metavar="ID", help="Name the steps that learnt from this row.")
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="With --step: the ids alone, one a line.")] = False,
) -> None:
    """Name the rows of a step, or the steps of a row.

    Ids are those of messages and reports, such as train.jsonl:12; `data.exclude` takes them.
    """
    from tunesmith.redact import redact
    from tunesmith.report.row_steps import known_steps, steps_of_row
    from tunesmith.terminal import printable

    if (step is None) == (row is None):
        what = "say either `--step N` or `--row ID`"
        raise UserError(what, str(run_dir), known_steps(run_dir) if step is None else "")
    if row is not None:
        text = steps_text(steps_of_row(run_dir, row))
    else:
        assert step is not None
        text = _rows_text(run_dir, step, alone=ids)
    typer.echo(printable(redact(text)))


def _rows_text(run_dir: Path, step: int, *, alone: bool) -> str:
    from tunesmith.numbers import number
    from tunesmith.report.row_steps import rows_of_step

    found = rows_of_step(run_dir, step)
    if alone:
        return "\n".join(found.learnt)
    head = f"step {number(step)} of {run_dir}: {number(len(found.learnt))} rows"
    if found.learnt and not found.updated:
        head += ", none of them learnt: its numbers went wrong, and no weight changed"
    shown = _shown(run_dir, {*found.learnt, *found.excluded})
    lines = [head, *listing(found.learnt, shown)]
    if found.excluded:
        lines += ["left out by `data.exclude`, with an empty place in this step:"]
        lines += listing(found.excluded, shown)
    return "\n".join(lines)


def listing(ids: Sequence[str], shown: Mapping[str, tuple[str, str]]) -> list[str]:
    """A line a row: its id, and where they are at hand its place and the beginning of its text."""
    widths = [max((len(cell) for cell in column), default=0) for column in (ids, _places(ids, shown))]
    return [
        f"  {one.ljust(widths[0])}  {place.ljust(widths[1])}  {shown.get(one, ('', ''))[1]}".rstrip()
        for one, place in zip(ids, _places(ids, shown), strict=True)
    ]


def _places(ids: Sequence[str], shown: Mapping[str, tuple[str, str]]) -> list[str]:
    return [shown.get(one, ("", ""))[0] for one in ids]


def steps_text(found: StepsOfRow) -> str:
    """In which steps a row was learnt, in words."""
    from tunesmith.numbers import number

    parts = [
        ("learnt in", found.learnt),
        ("seen and not learnt, since the step's numbers went wrong, in", found.passed_over),
        ("left out by `data.exclude`, with an empty place in", found.excluded),
    ]
    told = [
        f"{words} step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"
        for words, steps in parts
        if steps
    ]
    done = f"{number(found.steps)} steps are done"
    return f"{found.row_id}: {'; '.join(told) or 'in no step so far'} ({done})"


def _shown(run_dir: Path, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Place and beginning of the text of rows, of those that lie in files here, as they are now."""
    from tunesmith.data.lookup import find_rows
    from tunesmith.recipe.load import load_recipe
    from tunesmith.suggest import shorten

    try:
        recipe = load_recipe(run_dir / "recipe.yaml")
    except UserError:  # its sources have gone, say
        return {}
    found = find_rows(recipe.data, recipe.eval, ids)
    return {
        one: (place, shorten(" | ".join(str(value) for value in columns.values()), TEXT_LENGTH))
        for one, (place, columns) in found.items()
    }
