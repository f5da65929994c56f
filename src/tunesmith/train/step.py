"""One optimiser step: forward, backward, clip, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from tunesmith.tasks.task import Batch, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step did, over all processes.

    Attributes:
        loss: mean over supervised tokens (or samples).
        grad_norm: global norm of the gradient before clipping.
        supervised: supervised tokens (or samples).
        updated: false if a value was not finite, and nothing was changed.
        stop_asked: whether a signal reached any process.
        seconds: the processes' mean clock, so that all of them decide alike.
    """

    loss: float
    grad_norm: float
    supervised: int
    updated: bool
    stop_asked: bool
    seconds: float


def train_step(
    accelerator: Accelerator,
    model: Any,
    task: Task,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    *,
    learning_rate: float,
    clip: float | None,
    autocast: torch.dtype | None,
    clock: Callable[[], float],
    stop_asked: bool,
) -> StepResult:
    """Learn from the micro-batches of one global batch.

    Losses are summed, and divided once by the supervised count of the whole global batch. So the
    gradient does not depend on how the batch is divided into passes and processes, however unevenly
    tokens are spread.

    Args:
        accelerator: knows the other processes.
        model: as ``accelerator.prepare`` returned it.
        task: forms the loss.
        optimizer: with its gradients at zero; leaves them at zero.
        batches: this process's micro-batches.
        learning_rate: of this step.
        clip: largest gradient norm, or ``None``.
        autocast: type of the arithmetic, if the weights have another.
        clock: tells the seconds since the run began, as this process sees it.
        stop_asked: whether this process was told to stop.
    """
    device = accelerator.device
    counts = [sum(len(batch["labels"]) for batch in batches), int(stop_asked)]
    supervised, stops = _sum_over_processes(accelerator, counts)
    loss_total = torch.zeros((), device=device, dtype=torch.float64)
    for index, batch in enumerate(batches):
        inputs = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        with _no_sync(accelerator, model, last=index == len(batches) - 1), _autocast(device, autocast):
            sums = task.loss(model, inputs)
            # Data parallelism averages gradients over processes: times their number, it is the sum.
            accelerator.backward(sums.loss * (accelerator.num_processes / supervised))
        loss_total += sums.loss.detach().double()
    grad_norm = _clip(accelerator, model, clip)
    loss, seconds = _sum_over_processes(accelerator, [float(loss_total), clock()])
    loss /= supervised
    finite = math.isfinite(loss) and math.isfinite(grad_norm)
    if finite:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return StepResult(
        loss=loss,
        grad_norm=grad_norm,
        supervised=int(supervised),
        updated=finite,
        stop_asked=stops > 0,
        seconds=seconds / accelerator.num_processes,
    )


def _clip(accelerator: Accelerator, model: Any, clip: float | None) -> float:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norm = accelerator.clip_grad_norm_(parameters, math.inf if clip is None else clip)
    return float(norm) if norm is not None else 0.0


def _sum_over_processes(accelerator: Accelerator, values: Sequence[float]) -> list[float]:
    if accelerator.num_processes == 1:
        return [float(value) for value in values]
    total = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    return [float(value) for value in accelerator.reduce(total, reduction="sum").tolist()]


def _no_sync(accelerator: Accelerator, model: Any, *, last: bool) -> AbstractContextManager[None]:
    return nullcontext() if last else accelerator.no_sync(model)


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, dtype) if dtype is not None else nullcontext()
