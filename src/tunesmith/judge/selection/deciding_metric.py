"""Which metric chooses the weights that are kept, which rule names it, and on how many rows it rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.recipe.schema.stop import StopRule, paths

FEW_ROWS = 100
"""Rows below which a choice rests on few: half of a share's 95 % interval is 0.1 at this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the weights are chosen by.

    Attributes:
        metric: its name.
        rule: kind of the rule that names it; empty where no rule names one.
        where: place of the rule in the recipe, such as ``stop.0.target``; empty without one.
    """

    metric: str
    rule: str = ""
    where: str = ""


def choosing(rules: Sequence[StopRule]) -> Choice:
    """The metric that decides which weights are kept, and where it comes from.

    The first target's first, else the first plateau's, forecast's or overfitting rule's, else ``loss``.
    """
    single = list(paths(rules))
    for path, rule in single:
        if rule.target:
            return Choice(metric=next(iter(rule.target)), rule="target", where=_place(path, "target"))
    for kind in ("plateau", "forecast", "overfitting"):
        for path, rule in single:
            if (section := getattr(rule, kind)) is not None:
                return Choice(metric=str(section.metric), rule=kind, where=_place(path, kind))
    return Choice(metric="loss")


def _place(path: Sequence[str | int], kind: str) -> str:
    return ".".join(str(part) for part in (*path, kind))


def choice_words(choice: Choice) -> str:
    """``the best accuracy, which the target names (stop.0.target)``."""
    if not choice.rule:
        return f"the best {choice.metric}, since no rule names another metric"
    return f"the best {choice.metric}, which the {choice.rule} names ({choice.where})"


def few_rows_words(metric: str, rows: int | None) -> str:
    """A warning if a metric that chooses rests on few rows, else nothing.

    Args:
        metric: its name.
        rows: on which it is measured; ``None`` if that is not known.
    """
    if rows is None or rows >= FEW_ROWS:
        return ""
    spread = 0.98 / max(rows, 1) ** 0.5  # 1.96 standard errors of a share of one half
    many = "1 row" if rows == 1 else f"{rows} rows"
    return (
        f"the weights are chosen by {metric} over {many} only, where a share is known to about "
        f"{min(spread, 1.0):.2f}: the choice may be chance; hold out more rows"
    )
