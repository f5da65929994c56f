"""What the evaluator saw and what it decided. Plain values: no clock, no device, no I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tunesmith.judge.statistics.paired import Paired, pair_from_plain, pair_to_plain
from tunesmith.metrics.names import WORST, split_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps done.
        epoch: passes over the training rows, fractional.
        tokens: tokens (or samples, where a task has no tokens) processed.
        seconds: wall-clock time since the run began, over all its continuations.
        device_seconds: the same, times the devices in use; ``None``: one device.
        joules: energy spent, if a meter or a stated power tells.
    """

    step: int
    epoch: float
    tokens: int
    seconds: float
    device_seconds: float | None = None
    joules: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One evaluation.

    Attributes:
        progress: when it was taken; step 0 is the baseline.
        metrics: name to value; fractions of 1 where a percentage would do.
        intervals: name to a 95 % confidence interval, where one is known.
        examples: evaluation rows seen.
        seconds: what the evaluation itself took.
        train_loss: mean training loss since the measurement before.
        paired: comparisons with earlier measurements on the same examples; see ``references.py``.
        clusters: groups that belong together among the examples; ``None``: each stands alone.
        of: size of the whole evaluation set, if only ``examples`` of it were seen.
        sets: further evaluation sets that were measured on, and their sizes.
        beside: whether it was made beside training, which went on meanwhile.
        slices: parts of the evaluation set that were measured apart, ``[column=value]``, and their sizes.
        lost: whether its weights are gone, so that they cannot be kept any more.
    """

    progress: Progress
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    examples: int
    seconds: float
    train_loss: float | None = None
    paired: tuple[Paired, ...] = ()
    clusters: int | None = None
    of: int | None = None
    sets: Mapping[str, int] = field(default_factory=dict)
    beside: bool = False
    slices: Mapping[str, int] = field(default_factory=dict)
    lost: bool = False

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.progress.step

    @property
    def whole(self) -> bool:
        """Whether the whole evaluation set was seen."""
        return self.of is None or self.examples >= self.of

    def seen(self, metric: str) -> int:
        """Examples on which a metric was measured; of the worst slice, as many as the smallest one has."""
        where = split_name(metric).where
        if where == WORST:
            return min(self.slices.values(), default=self.examples)
        return self.slices.get(where, self.sets.get(where, self.examples))

    def against(self, metric: str, step: int) -> Paired | None:
        """The comparison of a metric with the measurement of an earlier step, if it was made."""
        return next((pair for pair in self.paired if pair.metric == metric and pair.against == step), None)


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


def measurement_to_plain(measurement: Measurement) -> dict[str, object]:
    """A measurement as values that JSON can hold; what is not known is left out."""
    progress = measurement.progress
    known = {
        "train_loss": measurement.train_loss,
        "paired": [pair_to_plain(pair) for pair in measurement.paired] or None,
        "clusters": measurement.clusters,
        "of": measurement.of,
        "sets": dict(measurement.sets) or None,
        "beside": measurement.beside or None,
        "slices": dict(measurement.slices) or None,
        "lost": measurement.lost or None,
    }
    return {
        "progress": {name: value for name, value in asdict(progress).items() if value is not None},
        "metrics": dict(measurement.metrics),
        "intervals": {name: list(ends) for name, ends in measurement.intervals.items()},
        "examples": measurement.examples,
        "seconds": measurement.seconds,
        **{name: value for name, value in known.items() if value is not None},
    }


def measurement_from_plain(plain: Mapping[str, Any]) -> Measurement:
    """What ``measurement_to_plain`` wrote; ``null``, stored for a number that is not finite, becomes NaN."""
    metrics = {name: math.nan if value is None else float(value) for name, value in plain["metrics"].items()}
    return Measurement(
        progress=Progress(**plain["progress"]),
        metrics=metrics,
        intervals={name: (float(low), float(high)) for name, (low, high) in plain["intervals"].items()},
        examples=plain["examples"],
        seconds=plain["seconds"],
        train_loss=plain.get("train_loss"),
        paired=tuple(pair_from_plain(pair) for pair in plain.get("paired", ())),
        clusters=plain.get("clusters"),
        of=plain.get("of"),
        sets=plain.get("sets", {}),
        beside=plain.get("beside", False),
        slices=plain.get("slices", {}),
        lost=plain.get("lost", False),
    )


def stop_verdict(rule: str, reason: str) -> Verdict:
    """Training ends here."""
    return Verdict(decision="stop", rule=rule, reason=reason)


def unknown(rule: str, reason: str) -> Verdict:
    """The rule cannot judge: never a success, and never a failure."""
    return Verdict(decision="unknown", rule=rule, reason=f"{reason}, so this rule cannot judge")


def unknown_value(rule: str, measurement: Measurement, metric: str) -> Verdict:
    """The verdict of a rule whose metric has no value: names the metric, the step, and what is there."""
    value = measurement.metrics.get(metric)
    state = "was not measured" if value is None else f"is {value}"
    return unknown(rule, f"{metric} {state} at step {measurement.step}")


def known(measurement: Measurement, metric: str) -> float | None:
    """The metric's value there, or ``None`` if it is missing or not finite."""
    value = measurement.metrics.get(metric)
    return value if value is not None and math.isfinite(value) else None
