"""Text that may come from anybody, made fit for a terminal.

A name, a row, an answer or a log can hold signs that command a terminal: they move the cursor, rewrite the
window's title, make links, hide or turn round what stands on the line. What is shown holds none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TextIO

SUBSTITUTE = "\ufffd"
LONGEST_LINE = 65536

_ODD = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, of both sets, but for tab and line break
    "\xad\u061c\u180e\u200b\u200e\u200f\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e00ff"  # not seen
    "\u2028-\u202e"  # line and paragraph ends, and what turns text round
    "\ud800-\udfff]"
)
_DRAWING = r"\x1b\[(?:[0-9;:]{0,40}[A-HJKfm]|\?(?:25|1049)[hl])"
"""Colours, the cursor, erasing, and the second screen: what a bar or a live view is drawn with."""

_PRINTABLE = re.compile(_ODD)
_PLAIN = re.compile(rf"(\x1b\[[0-9;:?]{{0,40}}[@-~])|(\A\r|\r\Z|\r(?=\n))|{_ODD}")
_DRAWN = re.compile(rf"()({_DRAWING}|\A\r|\r\Z|\r(?=\n))|{_ODD}")


def printable(text: str) -> str:
    """The text with every sign that could command a terminal replaced; tabs and line breaks stay."""
    return _PRINTABLE.sub(SUBSTITUTE, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same for what stands within a line, as a name does: line breaks are replaced as well."""
    return _PRINTABLE.sub(SUBSTITUTE, text).replace("\n", SUBSTITUTE)


def plain(text: str) -> str:
    """A piece of output without commands: colours go, a return stays only where it begins or ends a piece.

    That is for libraries, whose bars begin with it.
    """
    return _PLAIN.sub(_kept, text)


def log_lines(pieces: Iterable[str]) -> Iterator[str]:
    """A log, which comes in pieces, as a terminal would leave it, without colours.

    Of what a bar has drawn over itself the last state stays. A line is given when it is whole.
    """
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from (f"{_left(line)}\n" for line in lines)
        if len(rest) > LONGEST_LINE:
            yield _left(rest)
            rest = ""
    if rest:
        yield _left(rest)


def _left(line: str) -> str:
    return printable(plain(line.rstrip("\r").rpartition("\r")[2]))


def drawn(text: str) -> str:
    """A piece of output that draws: colours and the cursor's moves stay, all other commands are replaced."""
    return _DRAWN.sub(_kept, text)


def drawing(stream: TextIO) -> TextIO:
    """The same stream for what draws on purpose; streams that let no command out are asked for another."""
    other = getattr(stream, "drawing", None)
    return other() if callable(other) else stream


def _kept(found: re.Match[str]) -> str:
    if found[2] is not None:
        return found[2]
    return "" if found[1] else SUBSTITUTE
