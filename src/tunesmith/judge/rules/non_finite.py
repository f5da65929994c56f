"""Always on: a loss that is no number any more."""

from __future__ import annotations

import math

from tunesmith.judge.measurement import History, Verdict, stop_verdict


def non_finite(history: History) -> Verdict | None:
    """Stop if the newest evaluation loss is infinite or not a number.

    Formula: ``not isfinite(loss[-1])``. From such weights no further step leads back. Other metrics
    may lack a value for good reasons (Pearson's r of constant predictions): they give *unknown*.
    """
    newest = history[-1]
    loss = newest.metrics.get("loss")
    if loss is None or math.isfinite(loss):
        return None
    return stop_verdict("non-finite", f"evaluation loss is {loss} at step {newest.step}")
