"""How mistakes are shown: on stderr, clear without colour, coloured where a terminal wants it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from tunesmith.errors import Exit, UserError
from tunesmith.redact import redact
from tunesmith.terminal import drawing, drawn, plain, printable
from tunesmith.world.exit_status import leave_outcome
from tunesmith.world.library_output import quiet_imports
from tunesmith.world.memory import bound_kernel_cache

_INTERRUPTED = 130
_BOLD, _RED, _CYAN, _RESET = "\x1b[1m", "\x1b[1;31m", "\x1b[36m", "\x1b[0m"


def guarded(action: Callable[[], int]) -> int:
    """Do ``action`` and give its exit status; a user's mistake becomes a message and status 2.

    From here on nothing secret leaves the process through its streams, a traceback included.
    """
    redact_streams()
    quiet_imports()
    bound_kernel_cache(os.environ)
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


class Redacted:
    """A stream that redacts each piece of text before passing it on, and is the same stream otherwise.

    Args:
        stream: where text goes.
        draws: whether colours and the cursor's moves may pass, see ``drawing``; other commands never do.

    Attributes:
        outlives_reader: whether what cannot be written is dropped, rather than an error.
    """

    def __init__(self, stream: TextIO, *, draws: bool = False) -> None:
        self._stream = stream
        self._fit = drawn if draws else plain
        self.outlives_reader = False

    def write(self, text: str) -> int:
        """Write a piece of text without its secrets, and without what would command the terminal."""
        fit = self._fit(redact(text))
        with self._perhaps_unread():
            try:
                self._stream.write(fit)
            except UnicodeEncodeError as error:  # `LC_ALL` may know no more than ASCII
                self._stream.write(fit.encode(error.encoding, "backslashreplace").decode(error.encoding))
        return len(text)

    def drawing(self) -> Redacted:
        """The same stream for what draws with colours and the cursor on purpose."""
        other = Redacted(self._stream, draws=True)
        other.outlives_reader = self.outlives_reader
        return other

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several pieces."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what is not yet written."""
        with self._perhaps_unread():
            self._stream.flush()

    @contextmanager
    def _perhaps_unread(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # the latter if it was closed
            if not self.outlives_reader:
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_streams() -> None:
    """Let no secret and no command out through ``sys.stdout`` and ``sys.stderr``, up to the process's end."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Redacted):
            setattr(sys, name, Redacted(stream))


def outlive_reader() -> None:
    """From here on, go on where nobody reads what is printed any more, or where it cannot be written.

    A pipe whose reader has gone, a terminal that was closed, a full disk under a log: what a run prints
    stands in its directory as well. For commands that do nothing but print, a pipe that breaks is an end.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed by whoever started this: the next file opened would take its place
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    redact_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Redacted):
            stream.outlives_reader = True
