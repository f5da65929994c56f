"""The nearest valid name, for messages about a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str], count: int = 3) -> list[str]:
    """Names that resemble ``word``, best first; upper and lower case count as the same."""
    by_fold: dict[str, str] = {}
    for choice in choices:
        by_fold.setdefault(choice.casefold(), choice)
    close = difflib.get_close_matches(word.casefold(), by_fold, n=count, cutoff=0.6)
    return [by_fold[fold] for fold in close]


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
    close = nearest(word, choices, 1)
    start = f"did you mean `{close[0]}`? " if close else ""
    return f"{start}the {kind} are {listed(choices)}" if choices else f"there are no {kind}"
