"""What the evaluator saw and what it decided. Plain values: no clock, no device, no I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps done.
        epoch: passes over the training rows, fractional.
        tokens: tokens (or samples, where a task has no tokens) processed.
        seconds: wall-clock time since the run began, over all its continuations.
    """

    step: int
    epoch: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One evaluation.

    Attributes:
        progress: when it was taken; step 0 is the baseline.
        metrics: name to value; fractions of 1 where a percentage would do.
        intervals: name to a 95 % confidence interval, where one is known.
        examples: evaluation rows seen.
        seconds: what the evaluation itself took.
    """

    progress: Progress
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    examples: int
    seconds: float


History = tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do now, by which rule (``target``, ``plateau`` …), and why, in one sentence."""

    decision: Literal["continue", "stop", "unknown"]
    rule: str
    reason: str

    @property
    def stop(self) -> bool:
        """Whether training ends here."""
        return self.decision == "stop"


def to_plain(measurement: Measurement) -> dict[str, object]:
    """A measurement as values that JSON can hold."""
    progress = measurement.progress
    return {
        "progress": {
            "step": progress.step,
            "epoch": progress.epoch,
            "tokens": progress.tokens,
            "seconds": progress.seconds,
        },
        "metrics": dict(measurement.metrics),
        "intervals": {name: list(ends) for name, ends in measurement.intervals.items()},
        "examples": measurement.examples,
        "seconds": measurement.seconds,
    }


def from_plain(plain: Mapping[str, Any]) -> Measurement:
    """What ``to_plain`` wrote; a number that was not finite is stored as ``null`` and comes back as NaN."""
    metrics = {name: math.nan if value is None else float(value) for name, value in plain["metrics"].items()}
    return Measurement(
        progress=Progress(**plain["progress"]),
        metrics=metrics,
        intervals={name: (float(low), float(high)) for name, (low, high) in plain["intervals"].items()},
        examples=plain["examples"],
        seconds=plain["seconds"],
    )
