"""How mistakes are shown: on stderr, clear without colour, coloured where a terminal wants it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import TextIO

from tunesmith.cli.streams import redact_streams
from tunesmith.errors import Exit, UserError
from tunesmith.terminal import drawing, printable
from tunesmith.world.outcome import leave_outcome
from tunesmith.world.quiet import quiet_imports

_INTERRUPTED = 130
_BOLD, _RED, _CYAN, _RESET = "\x1b[1m", "\x1b[1;31m", "\x1b[36m", "\x1b[0m"


def guarded(action: Callable[[], int]) -> int:
    """Do ``action`` and give its exit status; a user's mistake becomes a message and status 2.

    From here on nothing secret leaves the process through its streams, a traceback included.
    """
    redact_streams()
    quiet_imports()
    try:
        refuse_without_docstrings(sys.flags.optimize)
        return action()
    except UserError as error:
        if is_speaker(os.environ):
            show_error(error, sys.stderr)
        leave_outcome(os.environ, Exit.USER, str(error))
        return Exit.USER
    except KeyboardInterrupt:
        if is_speaker(os.environ):
            print("interrupted", file=sys.stderr)
        return _INTERRUPTED


def refuse_without_docstrings(level: int) -> None:
    """Refuse a Python that takes docstrings away: transformers builds its classes from them.

    Args:
        level: of optimisation, ``sys.flags.optimize``.

    Raises:
        UserError: before the recipe would be blamed for it.
    """
    if level > 1:
        raise UserError(
            "Python was started with `-OO` or `PYTHONOPTIMIZE=2`, which takes docstrings away that "
            "transformers needs",
            hint="unset PYTHONOPTIMIZE, or set it to 1",
        )


def is_speaker(environ: Mapping[str, str]) -> bool:
    """Whether this process speaks: the first of its machine, since all of them meet the same mistake."""
    return environ.get("LOCAL_RANK", environ.get("RANK", "0")).strip() in ("", "0")


def show_error(error: UserError, stream: TextIO) -> None:
    """Print an error as text, with colour if the stream is a terminal and ``NO_COLOR`` is unset."""
    text = printable(str(error))
    if wants_colour(stream, os.environ):
        print(_coloured(text), file=drawing(stream), flush=True)
    else:
        print(text, file=stream, flush=True)


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to write colours: a terminal, and no ``NO_COLOR`` in the environment."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stream.isatty()


def _coloured(text: str) -> str:
    lines = text.split("\n")
    shown = []
    for number, line in enumerate(lines):
        first = number == 0 or not lines[number - 1]
        if line.startswith("hint: "):
            shown.append(f"{_CYAN}hint:{_RESET}{line[5:]}")
        elif re.fullmatch(r" +\| +\^+", line):
            shown.append(line.replace("^", f"{_RED}^", 1) + _RESET)
        else:
            shown.append(f"{_BOLD}{line}{_RESET}" if first else line)
    return "\n".join(shown)
