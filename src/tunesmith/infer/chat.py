"""``tunesmith chat``: talk to the model of a run, in a terminal or through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import UserError
from tunesmith.infer.conversation import Conversation, start
from tunesmith.infer.open_run import open_run
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.terminal import drawing, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console


def chat_loop(run_dir: Path) -> None:
    """Answer lines until there are no more.

    In a terminal: answers appear as they are made, Ctrl-C stops an answer and not the program, Ctrl-D or
    ``/quit`` ends. Through a pipe: one line is one turn, and stdout holds the answers alone.
    A model that is no language model says label and probability, or its number, for each line.

    Raises:
        UserError: if the run has no finished model.
    """
    from rich.console import Console

    terminal = sys.stdin.isatty()
    stream = drawing(sys.stdout if terminal else sys.stderr)
    console = Console(file=stream, highlight=False, soft_wrap=True)
    conversation = start(open_run(run_dir))
    if terminal:
        _introduce(conversation, console)
    for line in _lines(console, terminal):
        if not line.strip():
            continue
        if line.startswith("/"):
            said = conversation.command(line)
            if said is None:
                break
            console.print(printable(said), style="dim", markup=False)
            continue
        _answer(conversation, line, console)


def _lines(console: Console, terminal: bool) -> Iterator[str]:
    if not terminal:
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    while True:
        try:
            yield console.input("[bold cyan]you ›[/] ")
        except KeyboardInterrupt:
            console.print("\n(Ctrl-D or /quit ends)", style="dim", markup=False)
        except EOFError:
            console.print()
            return


def _answer(conversation: Conversation, line: str, console: Console) -> None:
    """Write one answer to stdout piece by piece; an interrupt ends the answer alone."""
    pieces = conversation.reply(line)
    try:
        for piece in pieces:
            sys.stdout.write(printable(piece))
            sys.stdout.flush()
        sys.stdout.write("\n")
    except KeyboardInterrupt:
        pieces.close()
        console.print(" (stopped)", style="dim", markup=False)
    except UserError as error:
        console.print(printable(str(error)), style="red", markup=False)
    sys.stdout.flush()


def _introduce(conversation: Conversation, console: Console) -> None:
    task = conversation.opened.recipe.task
    console.print(task.name, style="bold", end="", markup=False)
    console.print(" from ", end="", markup=False)
    console.print(one_line(conversation.opened.run_dir.name), style="bold", end="  ", markup=False)
    if spec_of(task).output != "tokens":
        console.print("each line gets its answer; Ctrl-D ends", style="dim")
        return
    console.print("/help lists commands; Ctrl-C stops an answer, Ctrl-D ends", style="dim", markup=False)
    if conversation.prompt is not None:
        before, after = conversation.prompt
        said = f"lines are put into the recipe's prompt: {before}…{after}"
        console.print(printable(said), style="dim", markup=False)
        console.print("each is asked on its own, as in training; /raw says them as they are", style="dim")
