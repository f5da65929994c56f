"""Answers that are numbers: how far they lie from the truth, as two charts and a sentence. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tunesmith import numbers
from tunesmith.report.charts.scatter import Scatter, draw_scatter
from tunesmith.tasks.task import Scored

MOST_POINTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """How far numbers are off.

    Attributes:
        summary: mean and typical distance in a sentence.
        scatter: answers over true values, with the line on which every answer would be right.
        spread: answer less truth over true values, with the line of no error.
        note: how many points are drawn.
    """

    summary: str
    scatter: Markup
    spread: Markup
    note: str


def numeric(scored: Sequence[Scored]) -> bool:
    """Whether the answers are numbers rather than classes or texts: some are no whole numbers."""
    values = [value for one in scored for value in (one.prediction, one.reference)]
    return all(map(numbers.is_number, values)) and any(isinstance(value, float) for value in values)


def residuals(scored: Sequence[Scored]) -> Residuals:
    """Both charts over the rows, thinned evenly where there are very many."""
    every = -(-len(scored) // MOST_POINTS)
    pairs = [(float(one.reference), float(one.prediction)) for one in scored]
    shown = [pair for pair in pairs[::every] if all(map(math.isfinite, pair))]
    name, misses = "answers over true values", [said - truth for truth, said in pairs]
    scatter = Scatter(
        name=name,
        summary=f"{len(shown)} answers; on the dashed line an answer equals the truth.",
        points=shown,
        across="true value",
        up="answer",
        diagonal=True,
    )
    spread = Scatter(
        name="residuals over true values",
        summary=f"{len(shown)} residuals; on the dashed line an answer equals the truth.",
        points=[(truth, said - truth) for truth, said in shown],
        across="true value",
        up="answer less truth",
    )
    return Residuals(
        summary=_summary([miss for miss in misses if math.isfinite(miss)], len(misses)),
        scatter=draw_scatter(scatter),
        spread=draw_scatter(spread),
        note="" if len(shown) == len(pairs) else f"{len(shown):,} of {len(pairs):,} rows are drawn.",
    )


def _summary(misses: Sequence[float], total: int) -> str:
    if not misses:
        return f"None of the {numbers.number(total)} answers is a finite number."
    off = sorted(map(abs, misses))
    mean = sum(misses) / len(misses)
    lean = "too low" if mean < 0 else "too high"
    low, most = off[(len(off) - 1) // 2], off[math.ceil(0.95 * len(off)) - 1]
    broken = total - len(misses)
    return (
        f"Half of the {numbers.number(len(off))} answers are off by at most {numbers.number(low)}, "
        f"95 % by at most {numbers.number(most)}, the worst by {numbers.number(off[-1])}; on average "
        f"they are {numbers.number(abs(mean))} {lean}."
        + (f" {numbers.number(broken)} are no finite numbers." if broken else "")
    )
