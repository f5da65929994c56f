"""One optimiser step: forward, backward, clip, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from tunesmith.fault import fault
from tunesmith.tasks.task import Batch, Loss, offers
from tunesmith.train.batches import StepBatches
from tunesmith.train.coupled import coupled_losses
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.mesh import sum_over_dp
from tunesmith.train.engine.modes import frozen_statistics, training_autocast
from tunesmith.train.engine.process import Process
from tunesmith.train.supervise.interrupts import Interrupts


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step did, over all processes.

    Attributes:
        loss: mean over supervised tokens (or samples).
        grad_norm: global norm of the gradient before clipping.
        supervised: supervised tokens (or samples); 0 if every row of the step is left out.
        updated: false if a value was not finite or the loss beyond its bound, and nothing was changed.
        rescaled: the gradient did not fit in float16: nothing but the loss scale was changed.
        asked: what any process was asked for.
        seconds: the processes' mean clock, so that all of them decide alike.
        parts: what the loss is made of, by name, each a mean like it.
    """

    loss: float
    grad_norm: float
    supervised: int
    updated: bool
    rescaled: bool
    asked: Interrupts
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are, or will be when the loss scale has been lowered."""
        return math.isfinite(self.loss) and (math.isfinite(self.grad_norm) or self.rescaled)


def train_step(
    process: Process,
    learner: Learner,
    step: StepBatches,
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
    tokens are spread. A loss that is no sum over samples is one over all of them; see ``coupled.py``.

    Args:
        process: this one, among the others.
        learner: the engine's gradients are at zero, and left at zero.
        step: this process's micro-batches; with none, in any process, nothing is learnt and nothing moves.
        learning_rate: of this step.
        clip: largest gradient norm, or ``None``.
        clock: tells the seconds since the run began, as this process sees it.
        asked: what this process was asked for.
        loss_bound: a larger loss is not learnt from, where the engine lets its gradient be dropped.
    """
    accelerator, dp_size = process.accelerator, process.mesh.dp_size
    device, engine = accelerator.device, learner.engine
    batches = step.batches
    own = [batch.count for index, batch in enumerate(batches) if index not in step.fillers]
    supervised, *wishes = sum_over_dp(accelerator, [sum(own), *asked.counts()])
    loss_of = _loss_of(process, learner, step)
    loss_total = torch.zeros((), device=device, dtype=torch.float64)
    parts: dict[str, torch.Tensor] = {}
    for index, waiting in enumerate(batches):
        batch, learns = waiting.to(device), index not in step.fillers
        with (
            engine.passing(last=index == len(batches) - 1),
            frozen_statistics(engine, index in step.frozen_statistics),
        ):
            fault("forward")
            with training_autocast(device, learner.autocast):
                loss = loss_of(index, batch)
            fault("backward")
            # Data parallelism averages gradients over its shares: times their number, it is the sum.
            accelerator.backward(engine.scaled(loss.total * (dp_size / supervised if learns else 0.0)))
        loss_total += loss.total.detach().double() if learns else 0.0
        for name, part in loss.parts.items():
            parts[name] = parts.get(name, 0.0) + (part.detach().double() if learns else 0.0)
    named = sorted(parts)
    sums = [float(loss_total), clock(), *(float(parts[name]) for name in named)]
    total, seconds, *of_parts = sum_over_dp(accelerator, sums)
    wished, seconds = Interrupts(*(wish > 0 for wish in wishes)), seconds / dp_size
    if not supervised:
        return _nothing_learnt(wished, seconds)
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
        asked=wished,
        seconds=seconds,
        parts={name: part / supervised for name, part in zip(named, of_parts, strict=True)},
    )


def _loss_of(process: Process, learner: Learner, step: StepBatches) -> Callable[[int, Batch], Loss]:
    """What a pass, by its number in the step and its batch, adds to the loss of the step."""
    if offers(learner.task, "coupled_loss"):
        return coupled_losses(process, learner, step)
    return lambda _, batch: learner.task.loss(learner.engine.model, batch)


def _nothing_learnt(asked: Interrupts, seconds: float) -> StepResult:
    return StepResult(
        loss=math.nan,
        grad_norm=math.nan,
        supervised=0,
        updated=False,
        rescaled=False,
        asked=asked,
        seconds=seconds,
    )
