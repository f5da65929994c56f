"""``tunesmith generate``: run a file through the model of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.infer.answer import Answer, answer
from tunesmith.infer.load import open_run, read_recipe
from tunesmith.infer.questions import Question, read_questions


def generate_file(
    run_dir: Path,
    input: Path,
    output: Path,
    *,
    max_new_tokens: int = 64,
    batch_size: int = 16,
    overwrite: bool = False,
) -> int:
    """Answer every row of a file, greedily, and write one JSON line a row in the file's order.

    A line holds ``id``, ``input``, ``output``, for labels ``probability``, and ``reference`` where the
    row has one. The file is written whole at the end, or not at all. Progress goes to stderr.

    Args:
        run_dir: a run with a finished model.
        input: rows, as JSON Lines, CSV, Parquet or text; the recipe's field mapping applies.
        output: where the answers go.
        max_new_tokens: most tokens of a generated answer.
        batch_size: rows a forward pass; it changes the speed and nothing else.
        overwrite: whether an existing ``output`` may be replaced.

    Returns:
        Number of rows written.

    Raises:
        UserError: no finished model, a file that is missing or malformed, or an output that exists.
    """
    from tunesmith.checkpoint.atomic import write_text

    _check_output(input, output, overwrite)
    questions = read_questions(input, read_recipe(run_dir))
    opened = open_run(run_dir)
    answers: dict[int, Answer] = {}
    with _progress(len(questions)) as advance:
        for index, found in answer(opened, questions, max_new_tokens=max_new_tokens, batch_size=batch_size):
            answers[index] = found
            advance()
    write_text(
        output, "".join(_lines(questions, [answers[index] for index in range(len(questions))])), exact=True
    )
    return len(questions)


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


def _lines(questions: Sequence[Question], answers: Sequence[Answer]) -> Iterator[str]:
    for question, found in zip(questions, answers, strict=True):
        line: dict[str, Any] = {"id": question.id, "input": question.text, "output": found.output}
        if found.probability is not None:
            line["probability"] = round(found.probability, 6)
        if question.reference is not None:
            line["reference"] = question.reference
        yield json.dumps(line, ensure_ascii=False) + "\n"


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A progress bar on stderr; without a terminal, only its last state."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
