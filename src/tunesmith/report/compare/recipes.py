"""What the recipes of runs do differently: the keys that differ, with each run's value. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.report.run_files import Record
from tunesmith.terminal import one_line

OWN = ("run.dir",)
"""Keys that differ in any two runs."""

MOST_KEYS, MOST_CHARACTERS, DEEPEST = 60, 120, 20
NOT_SET, UNKNOWN = "not set", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Rows of key and values, one a run; ``left_out`` counts keys beyond these.

    Attributes:
        rows: a key as an override names it, and the values in the order of the runs.
        left_out: keys that are not listed.
        unread: whether some recipe is not there or cannot be read.
    """

    rows: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: int
    unread: bool

    @property
    def told(self) -> str:
        """What there is to say beside the rows; empty if nothing is."""
        missing = " The recipe of some run cannot be read." if self.unread else ""
        if self.left_out:
            return f"{self.left_out} more keys differ.{missing}"
        return missing.strip() if self.rows or self.unread else "The recipes say the same."


def differences_of(recipes: Sequence[Record]) -> Differences:
    """Every key whose value is not the same in all recipes, in the order of the first that has it.

    Args:
        recipes: parsed; an empty one counts as not read.
    """
    flat = [dict(_flat(recipe, "", DEEPEST)) for recipe in recipes]
    read = [found for found in flat if found]
    keys = [key for key in dict.fromkeys(key for found in read for key in found) if key not in OWN]
    rows = [(key, tuple(_value(found, key) for found in flat)) for key in keys if _differs(read, key)]
    return Differences(
        rows=tuple(rows[:MOST_KEYS]), left_out=max(0, len(rows) - MOST_KEYS), unread=len(read) < len(flat)
    )


def _differs(read: Sequence[Mapping[str, str]], key: str) -> bool:
    return len({found.get(key, NOT_SET) for found in read}) > 1


def _value(found: Mapping[str, str], key: str) -> str:
    text = found.get(key, NOT_SET) if found else UNKNOWN
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _flat(value: Any, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    """Each leaf with its path; a list of plain values is one leaf, and a file may name itself in a circle."""
    if depth and isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix}{key}.", depth - 1)
    elif depth and isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{prefix}{index}.", depth - 1)
    elif prefix:
        yield prefix[:-1], _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value in ({}, []):
        return NOT_SET
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e15 else one_line(str(value))
