"""The stop rules of a recipe as it was written down, also those inside of ``any`` and ``all``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunesmith.report.read import Record

DEEPEST = 8
"""Rules nested deeper are passed over; a file may name itself in a circle."""


def all_rules(recipe: Record) -> list[Record]:
    """Every single rule, in the order of the recipe."""
    return list(_leaves(recipe.get("stop"), ("any", "all"), DEEPEST))


def binding_rules(recipe: Record) -> list[Record]:
    """The rules that end the run by themselves: those inside of an ``all`` need others to agree."""
    return list(_leaves(recipe.get("stop"), ("any",), DEEPEST))


def _leaves(rules: Any, open_up: Sequence[str], depth: int) -> Iterator[Record]:
    if not isinstance(rules, Sequence) or isinstance(rules, str) or not depth:
        return
    for rule in rules:
        if not isinstance(rule, Mapping):
            continue
        inner = [rule.get(key) for key in ("any", "all") if rule.get(key) is not None]
        if not inner:
            yield rule
        for key in open_up:
            yield from _leaves(rule.get(key), open_up, depth - 1)
