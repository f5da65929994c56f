"""The process's two streams of text: what is written there leaves without secrets and terminal commands.

Libraries, warnings and tracebacks write there too, so that this holds for words that are not ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from tunesmith.redact import redact
from tunesmith.terminal import drawn, plain


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
