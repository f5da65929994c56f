"""The target of a recipe that `init` writes: beyond what is reached without any model (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.cli.init.edit_recipe import replace_scalars
from tunesmith.cli.init.infer_task import Guess
from tunesmith.suggest import shorten

FIELDS = {"accuracy": "label", "exact_match": "completion"}
"""Metric of a target to the field whose commonest value is its baseline."""


def above_baseline(text: str, guess: Guess, rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Let no target of a recipe be reached by always giving the commonest answer.

    A target that would be is put half way between that and 1.

    Args:
        text: the recipe.
        guess: what the columns are.
        rows: of the user's data; the first ones.

    Returns:
        The text, and what to say of it.
    """
    told: list[str] = []

    def raised(path: tuple[str, ...], value: str) -> float | None:
        field = FIELDS.get(path[-1]) if "target" in path[:-1] and path[0] == "stop" else None
        common = _commonest(guess.fields.get(field or ""), rows)
        wanted = _number(value)
        if field is None or common is None or wanted is None:
            return None
        name, share = common
        always = f"always `{shorten(name, 40)}` reaches {path[-1]} {share:.3f}"
        if wanted > share:
            told.append(f"{always}, and the target asks for {wanted:g}")
            return None
        higher = round((1 + share) / 2, 3)
        told.append(f"{always}, so that the target is set to {higher:g}")
        return higher

    return replace_scalars(text, raised), told


def _commonest(column: str | None, rows: Sequence[Mapping[str, Any]]) -> tuple[str, float] | None:
    """The commonest value of a column and its share, if it stands there more than once and is not alone."""
    if column is None or not rows:
        return None
    counts = Counter(str(row.get(column, "")) for row in rows)
    (name, times), *rest = counts.most_common()
    return (name, times / len(rows)) if times > 1 and rest else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
