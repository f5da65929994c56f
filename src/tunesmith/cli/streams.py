"""The process's two streams of text, with secrets blotted out of whatever is written to them.

Libraries, warnings and tracebacks write there too, so that this holds for words that are not ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tunesmith.redact import redact


class Redacted:
    """A stream that redacts each piece of text before passing it on, and is the same stream otherwise."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a piece of text without its secrets."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several pieces."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_streams() -> None:
    """Let nothing secret out through ``sys.stdout`` and ``sys.stderr``, up to the end of the process."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Redacted):
            setattr(sys, name, Redacted(stream))
