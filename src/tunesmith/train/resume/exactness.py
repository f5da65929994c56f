"""On what terms a run goes on: how exactly, and what was changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["exact", "order-exact", "changed", "weights-only"]

TOLERANCE = {"float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}
"""How far losses of the same weights may lie apart when sums are formed in another order, by type."""

WORDS = {
    "processes": "processes",
    "engine": "engine",
    "stage": "ZeRO stage",
    "micro_batch_size": "samples a pass",
    "threads": "threads",
    "torch": "torch",
    "processor": "processor",
    "device": "device",
}


@dataclass(frozen=True, slots=True)
class Continuation:
    """How a run went on.

    Attributes:
        step: of the checkpoint.
        level: ``exact``: bit for bit as if nothing had happened. ``order-exact``: the same samples in each
            step, losses within a tolerance. ``changed``: with another recipe or other rows.
            ``weights-only``: with the weights, the step and the measurements alone.
        why: what makes it weaker than exact.
    """

    step: int
    level: Level
    why: tuple[str, ...] = ()


def continuation_of(
    step: int,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    changes: Sequence[str] = (),
    weights_only: bool = False,
) -> Continuation:
    """How exactly a run goes on.

    Args:
        step: of the checkpoint.
        before: facts of the part of the run that wrote it, see ``WORDS``; a missing one counts as different.
        now: the same of this part.
        changes: of the recipe and the rows, that the command accepted.
        weights_only: whether it asked for no more.
    """
    moved = tuple(
        f"{word}: {before.get(key, 'unknown')}, now {now[key]}"
        for key, word in WORDS.items()
        if before.get(key) != now[key]
    )
    if weights_only:
        return Continuation(step, "weights-only", ("asked for by `--weights-only`", *changes, *moved))
    if changes:
        return Continuation(step, "changed", (*changes, *moved))
    return Continuation(step, "order-exact" if moved else "exact", moved)


def continuation_text(continuation: Continuation, dtype: str) -> str:
    """One sentence for the console and the report.

    Args:
        continuation: to be told.
        dtype: of the products.
    """
    why = "; ".join(continuation.why)
    told = {
        "exact": "bit for bit as if nothing had happened",
        "order-exact": "the same samples in each step, losses to about "
        f"{TOLERANCE.get(dtype, 1e-2):g} ({why})",
        "changed": f"with changes ({why})",
        "weights-only": f"with the weights alone ({why})",
    }
    return f"continuing at step {continuation.step}: {told[continuation.level]}"
