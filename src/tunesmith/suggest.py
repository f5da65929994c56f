"""The nearest valid name, and lists of names, for messages about a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

LONGEST = 256


def nearest_names(word: str, choices: Iterable[str], count: int = 3) -> list[str]:
    """Names that resemble ``word``, best first; case and ``-`` for ``_`` make no difference."""
    if len(word) > LONGEST:
        return []
    by_fold: dict[str, str] = {}
    for choice in choices:
        by_fold.setdefault(_folded(choice), choice)
    close = difflib.get_close_matches(_folded(word), by_fold, n=count, cutoff=0.6)
    return [by_fold[fold] for fold in close]


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names in backquotes, separated by commas, cut after ``most``."""
    names = list(names)
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def did_you_mean(word: str, choices: Iterable[str], kind: str) -> str:
    """A hint: the nearest name if one is near, and what there is.

    Args:
        word: what was asked for.
        choices: what there is.
        kind: what the choices are, in the plural, e.g. ``columns``.
    """
    choices = list(choices)
    close = nearest_names(word, choices, 1)
    start = f"did you mean `{close[0]}`? " if close else ""
    return f"{start}the {kind} are {listed(choices)}" if choices else f"there are no {kind}"


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` was probably meant to be, if any is near."""
    return next(iter(nearest_names(word, choices, 1)), None)


def any_of(words: Sequence[str], last: str = "or") -> str:
    """``a``, ``b`` or ``c``, each in backquotes."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def shorten(text: str, length: int = 48) -> str:
    """One printable line of at most ``length`` characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: length + 1])
    return line if len(line) <= length else line[: length - 1] + "…"
