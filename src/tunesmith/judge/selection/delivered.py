"""The one record of which weights were written as the finished model, and what they score."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.judge.measurement import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What everything that is said of the finished model is made of.

    Attributes:
        measurement: of these very weights, on the whole evaluation set once a run has ended.
        average: name of the average that they are, such as ``ema``; empty if they are those of one step.
    """

    measurement: Measurement
    average: str = ""

    @property
    def weights(self) -> str:
        """Which they are: ``step 80``, or ``an average, ema``."""
        return f"an average, {self.average}" if self.average else f"step {self.measurement.step}"
