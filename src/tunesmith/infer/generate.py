"""``tunesmith generate``: run a file through the model of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import finite
from tunesmith.errors import UserError
from tunesmith.infer.inputs import Question, read_questions
from tunesmith.infer.open_run import find_model, open_run
from tunesmith.infer.predict import Answer, predict
from tunesmith.infer.progress import progress
from tunesmith.recipe.tasks.table import spec_of

SHOWN = 3
"""Rows left out that are named."""


def generate_file(
    run_dir: Path,
    input: Path,
    output: Path,
    *,
    max_new_tokens: int = 64,
    batch_size: int = 16,
    overwrite: bool = False,
    every_label: bool = False,
    task: str | None = None,
) -> int:
    """Answer every row of a file, greedily, and write one JSON line a row in the file's order.

    A line holds the row's own columns, and ``id``, ``input``, ``output``, for labels ``probability``, and
    ``reference`` where the row has one; a column of the file that has one of these names and says something
    else becomes ``own_NAME``. Empty rows are left out, and counted on stderr. The file is written whole at
    the end, or not at all. Progress goes to stderr.

    Args:
        run_dir: a run with a finished model, or a model's folder.
        input: rows, as JSON Lines, CSV, Parquet or text; the recipe's field mapping applies.
        output: where the answers go.
        max_new_tokens: most tokens of a generated answer.
        batch_size: rows a forward pass; it changes the speed and nothing else.
        overwrite: whether an existing ``output`` may be replaced.
        every_label: write the probability of every label, as ``probabilities``.
        task: of a model that no run made, where its configuration does not tell.

    Returns:
        Number of rows written.

    Raises:
        UserError: no finished model, a file that is missing or malformed, or an output that exists.
    """
    from tunesmith.checkpoint.atomic import write_text

    _check_output(input, output, overwrite)
    recipe, _ = find_model(run_dir, task)
    if every_label and spec_of(recipe.task).output != "classes":
        raise UserError(
            f"task `{recipe.task.name}` has no labels to tell probabilities of", hint="leave `--all` out"
        )
    asked = read_questions(input, recipe)
    questions = asked.questions
    opened = open_run(run_dir, task)
    answers: dict[int, Answer] = {}
    with progress("generating", len(questions)) as advance:
        for index, found in predict(opened, questions, max_new_tokens=max_new_tokens, batch_size=batch_size):
            answers[index] = found
            advance(1)
    # a row that is too long where the recipe drops such rows has no answer
    lines = _lines([(questions[index], answers[index]) for index in sorted(answers)], every_label)
    write_text(output, "".join(lines), exact=True)
    _tell_left_out(asked.empty, len(questions) - len(answers))
    return len(answers)


def _tell_left_out(empty: Sequence[tuple[str, str]], too_long: int) -> None:
    """Say on stderr which rows have no answer."""
    if empty:
        first = "; ".join(f"{place}: {why}" for place, why in empty[:SHOWN])
        more = f"; and {len(empty) - SHOWN} more" if len(empty) > SHOWN else ""
        print(f"empty rows left out: {len(empty)} ({first}{more})", file=sys.stderr)
    if too_long:
        print(f"too long, and left out as the recipe's `data.overflow` says: {too_long}", file=sys.stderr)


def _check_output(source: Path, output: Path, overwrite: bool) -> None:
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError("input and output are the same file", str(output), "name another file for the output")
    if output.is_dir():
        raise UserError("the output is a folder", str(output), "name a file in it")
    if output.exists() and not overwrite:
        raise UserError("the output exists already", str(output), "name another file, or add `--force`")
    if not output.absolute().parent.is_dir():
        raise UserError(
            "the output's folder does not exist", str(output), f"`mkdir -p {output.parent}` first"
        )


def _lines(answered: Sequence[tuple[Question, Answer]], every_label: bool) -> Iterator[str]:
    for question, found in answered:
        line: dict[str, Any] = {"id": question.id, "input": question.text, "output": found.output}
        if found.probability is not None:
            line["probability"] = round(found.probability, 6)
        if every_label and found.probabilities is not None:
            line["probabilities"] = {name: round(share, 6) for name, share in found.probabilities.items()}
        if question.reference is not None:
            line["reference"] = question.reference
        yield json.dumps({**line, **_own(question, line)}, ensure_ascii=False, default=str) + "\n"


def _own(question: Question, line: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own columns, a number as a number; pictures, which no line of text can hold, stay out."""
    own: dict[str, Any] = {}
    for name, value in question.columns.items():
        taken = name in line and str(line[name]) != str(value)
        if not _is_picture(value):
            own[f"own_{name}" if taken else name] = finite(value)
    return own


def _is_picture(value: Any) -> bool:
    if isinstance(value, Mapping):
        return isinstance(value.get("bytes"), bytes)
    return isinstance(value, bytes | bytearray) or hasattr(value, "__array__")
