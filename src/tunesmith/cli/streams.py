"""The process's two streams of text: what is written there leaves without secrets and terminal commands.

Libraries, warnings and tracebacks write there too, so that this holds for words that are not ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tunesmith.redact import redact
from tunesmith.terminal import drawn, plain


class Redacted:
    """A stream that redacts each piece of text before passing it on, and is the same stream otherwise.

    Args:
        stream: where text goes.
        draws: whether colours and the cursor's moves may pass, see ``drawing``; other commands never do.
    """

    def __init__(self, stream: TextIO, *, draws: bool = False) -> None:
        self._stream = stream
        self._fit = drawn if draws else plain

    def write(self, text: str) -> int:
        """Write a piece of text without its secrets, and without what would command the terminal."""
        self._stream.write(self._fit(redact(text)))
        return len(text)

    def drawing(self) -> Redacted:
        """The same stream for what draws with colours and the cursor on purpose."""
        return Redacted(self._stream, draws=True)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several pieces."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_streams() -> None:
    """Let no secret and no command out through ``sys.stdout`` and ``sys.stderr``, up to the process's end."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Redacted):
            setattr(sys, name, Redacted(stream))
