"""What learns: the model as its engine holds it, with the task that forms its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.tasks.task import Task
from tunesmith.train.engine.averaging import RunningMean
from tunesmith.train.engine.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """A model, and how it computes.

    Attributes:
        engine: holds the model as it trains, and the optimiser; knows what is sharded.
        model: the same as it was before, for everything else.
        task: encodes, collates, forms the loss, scores.
        dtype: of the arithmetic.
        autocast: the same, if the weights have another type.
        mean: running mean of the weights, if the recipe asks for one.
    """

    engine: Engine
    model: Any
    task: Task
    dtype: torch.dtype
    autocast: torch.dtype | None = None
    mean: RunningMean | None = None

    @property
    def sharded(self) -> bool:
        """Whether processes hold parts of the weights, and need each other for every pass."""
        return self.engine.stage == 3
