"""One optimiser step: forward, backward, clip, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.fault import fault
from tunesmith.tasks.task import Batch
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.mesh import sum_over_dp
from tunesmith.train.engine.process import Process
from tunesmith.train.supervise.interrupts import Interrupts


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step did, over all processes.

    Attributes:
        loss: mean over supervised tokens (or samples).
        grad_norm: global norm of the gradient before clipping.
        supervised: supervised tokens (or samples).
        updated: false if a value was not finite or the loss beyond its bound, and nothing was changed.
        rescaled: the gradient did not fit in float16: nothing but the loss scale was changed.
        asked: what any process was asked for.
        seconds: the processes' mean clock, so that all of them decide alike.
    """

    loss: float
    grad_norm: float
    supervised: int
    updated: bool
    rescaled: bool
    asked: Interrupts
    seconds: float

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are, or will be when the loss scale has been lowered."""
        return math.isfinite(self.loss) and (math.isfinite(self.grad_norm) or self.rescaled)


def train_step(
    process: Process,
    learner: Learner,
    batches: Sequence[Batch],
    *,
    learning_rate: float,
    clip: float | None,
    clock: Callable[[], float],
    asked: Interrupts,
    loss_bound: float = math.inf,
) -> StepResult:
    """Learn from the micro-batches of one global batch.

    Losses are summed, and divided once by the supervised count of the whole global batch. So the
    gradient does not depend on how the batch is divided into passes and processes, however unevenly
    tokens are spread.

    Args:
        process: this one, among the others.
        learner: the engine's gradients are at zero, and left at zero.
        batches: this process's micro-batches.
        learning_rate: of this step.
        clip: largest gradient norm, or ``None``.
        clock: tells the seconds since the run began, as this process sees it.
        asked: what this process was asked for.
        loss_bound: a larger loss is not learnt from, where the engine lets its gradient be dropped.
    """
    accelerator, dp_size = process.accelerator, process.mesh.dp_size
    device, engine, task = accelerator.device, learner.engine, learner.task
    counts = [sum(batch.count for batch in batches), *asked.counts()]
    supervised, *wishes = sum_over_dp(accelerator, counts)
    loss_total = torch.zeros((), device=device, dtype=torch.float64)
    for index, waiting in enumerate(batches):
        batch = waiting.to(device)
        with engine.passing(last=index == len(batches) - 1):
            fault("forward")
            with _autocast(device, learner.autocast):
                loss = task.loss(engine.model, batch)
            fault("backward")
            # Data parallelism averages gradients over its shares: times their number, it is the sum.
            accelerator.backward(engine.scaled(loss.total * (dp_size / supervised)))
        loss_total += loss.total.detach().double()
    total, seconds = sum_over_dp(accelerator, [float(loss_total), clock()])
    mean_loss = total / supervised
    fault("update")
    learn = math.isfinite(mean_loss) and mean_loss <= loss_bound
    update = engine.update(learning_rate=learning_rate, clip=clip, learn=learn)
    return StepResult(
        loss=mean_loss,
        grad_norm=update.grad_norm,
        supervised=int(supervised),
        updated=update.applied,
        rescaled=update.rescaled,
        asked=Interrupts(*(wish > 0 for wish in wishes)),
        seconds=seconds / dp_size,
    )


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    # Each weight is used once in a pass, so keeping its cast copies for another use would only hold memory.
    return torch.autocast(device.type, dtype, cache_enabled=False) if dtype is not None else nullcontext()
