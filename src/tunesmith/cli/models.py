"""The commands that use a finished model: chat, generate, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[
    Path, typer.Argument(metavar="RUN", help="The directory of a finished run, or a model's folder.")
]
Task = Annotated[
    str | None,
    typer.Option("--task", help="Of a model that no run made; default: what it says itself."),
]


def chat(run_dir: Model) -> None:
    """Talk to a finished model."""
    from tunesmith.infer.chat import chat_loop as chat_with

    chat_with(run_dir)


def generate(
    run_dir: Model,
    *,
    input: Annotated[Path, typer.Option("--input", "-i", help="Rows to answer.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON Lines with the answers.")],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows at once.")] = 16,
    every_label: Annotated[
        bool, typer.Option("--all", help="The probability of every label, not of the best alone.")
    ] = False,
    task: Task = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there.")] = False,
) -> None:
    """Run a file of rows through a finished model.

    Each line of the output holds the row's own columns, and the answer as `output`. Empty rows are counted
    and left out.
    """
    from tunesmith.infer.generate import generate_file

    options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "batch_size": batch_size, "task": task}
    count = generate_file(run_dir, input, output, **options, every_label=every_label, overwrite=force)
    typer.echo(f"{output}: {count} rows")


def evaluate(
    run_dir: Model,
    *,
    data: Annotated[Path, typer.Option("--data", "-d", help="Rows with their right answers.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the page and the scores; default: below the run's `evaluations/`."),
    ] = None,
    slices: Annotated[
        list[str] | None, typer.Option("--slices", metavar="COLUMN", help="Measure its values apart, too.")
    ] = None,
    task: Task = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of an answer; default: the recipe's.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows at once.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the folder.")] = False,
) -> None:
    """Measure a finished model on a file of rows.

    Every metric of its task with its interval, slices, confusion, the errors that remain, and a page.
    """
    from tunesmith.infer.evaluate_command import evaluate_into

    options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "batch_size": batch_size, "task": task}
    typer.echo(evaluate_into(run_dir, data, out, slices=slices or (), force=force, **options))
