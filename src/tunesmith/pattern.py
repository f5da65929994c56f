"""Regular expressions that a user wrote, on text that anybody wrote: each match ends within a bound.

Python's own engine may need longer than the world has for one line (``(a+)+b`` on forty letters) and hears no
signal meanwhile. The package ``regex`` takes the same expressions, and a time. What it understands beyond
Python's is written so that it means what it does there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from tunesmith.errors import UserError

SECONDS = 2.0
"""For one match; a thousandth of it is long already."""

_COUNT = re.compile(r"\{(?:\d+(?:,\d*)?|,\d+)\}")


class TooSlow(UserError):
    """A match that had not ended in time."""


def matched(
    pattern: str, text: str, *, way: Literal["fullmatch", "search"] = "fullmatch", dotall: bool = False
) -> Any:
    """What ``re.fullmatch`` or ``re.search`` gives, or None.

    Args:
        pattern: one that ``re`` compiles.
        text: of any length and content.
        way: which of the two.
        dotall: whether ``.`` stands for a line break as well.

    Raises:
        TooSlow: it took longer than ``SECONDS``.
        UserError: the pattern is one that only ``re`` compiles.
    """
    try:
        return getattr(_compiled(pattern, dotall), way)(text, timeout=SECONDS)
    except TimeoutError:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise TooSlow(
            f"the pattern `{pattern}` has not ended within {SECONDS:g} s on {shown!r}",
            hint="a repetition within a repetition, such as `(a+)+`, tries every way to part the text; "
            "write it so that each character can be taken in one way only",
        ) from None


@lru_cache(maxsize=64)
def _compiled(pattern: str, dotall: bool) -> Any:
    import regex

    flags = regex.VERSION0 | (regex.DOTALL if dotall else 0)
    try:
        return regex.compile(as_python_means(pattern), flags)
    except (regex.error, OverflowError, RecursionError) as error:
        raise UserError(
            f"the pattern `{pattern}` cannot be used: {error}", hint="write it in a plainer way"
        ) from error


def as_python_means(pattern: str) -> str:
    r"""The pattern with a backslash where ``{``, or ``[`` within a set, stands for itself in ``re``.

    To ``regex`` they begin a fuzzy count and a POSIX class.
    """
    parts, index, in_set = [], 0, False
    while index < len(pattern):
        letter = pattern[index]
        if letter == "\\":
            parts.append(pattern[index : index + 2])
            index += 2
            continue
        if in_set:
            parts.append("\\[" if letter == "[" else letter)
            in_set = letter != "]"
        elif letter == "[":
            opening = re.match(r"\[\^?\]?", pattern[index:])
            assert opening is not None
            parts.append(opening[0])  # a bracket that comes first stands for itself
            index += len(opening[0])
            in_set = True
            continue
        elif letter == "{" and not _COUNT.match(pattern, index):
            parts.append("\\{")
        else:
            parts.append(letter)
        index += 1
    return "".join(parts)
