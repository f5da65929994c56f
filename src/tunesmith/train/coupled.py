"""A loss over all samples of a step at once, however they are spread over passes and processes.

GradCache (Gao et al. 2021, arXiv 2101.06983, section 3): the samples are embedded without gradients, the
loss over all embeddings gives the gradient of each of them, and a second pass carries that into the weights.
So loss and gradient are those of the whole batch in one pass, for the memory of one micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from tunesmith.checkpoint.shards import moving_buffers
from tunesmith.tasks.task import Batch, Embedded, Loss
from tunesmith.train.batches import StepBatches
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.mesh import all_gather_rows
from tunesmith.train.engine.modes import frozen_statistics, training_autocast
from tunesmith.train.engine.process import Process

RandomState = tuple[torch.Tensor, torch.Tensor | None]


@dataclass(frozen=True, slots=True)
class _PassGradient:
    """What one pass is to carry into the weights.

    Attributes:
        gradients: of the whole loss by what the pass embeds, by name; none for what it does not hang on.
        value: the pass's share of the loss; all shares together are the loss.
        parts: the same of each of its parts.
    """

    gradients: Embedded
    value: torch.Tensor
    parts: Mapping[str, torch.Tensor]


def coupled_losses(process: Process, learner: Learner, step: StepBatches) -> Callable[[int, Batch], Loss]:
    """What each pass of a step, by its number and its batch, adds to the loss of the step.

    The value of an addend is a share of the loss, and its gradient by the weights is that of the whole loss
    along what this pass embeds. They are asked for in order, in every process as many times. A step of one
    pass is computed once; otherwise every sample twice forward.

    Args:
        process: this one.
        learner: what embeds.
        step: this process's micro-batches; those that only fill a pass are in no loss.
    """
    task, model, device = learner.task, learner.engine.model, process.accelerator.device
    learns = [number not in step.fillers for number in range(len(step.batches))]
    if len(step.batches) <= 1:

        def at_once(_: int, batch: Batch) -> Loss:
            embedded = task.embed(model, batch)
            return _carried(embedded, _pass_gradients(process, learner, [embedded], learns)[0])

        return at_once
    before = {name: buffer.clone() for name, buffer in moving_buffers(learner.model).items()}
    states: list[RandomState] = []
    first: list[Embedded] = []
    for number, batch in enumerate(step.batches):
        states.append(_random_state(device))
        with (
            torch.no_grad(),
            frozen_statistics(learner.engine, number in step.frozen_statistics),
            training_autocast(device, learner.autocast),
        ):
            first.append(task.embed(model, batch.to(device)))
    for name, buffer in moving_buffers(learner.model).items():
        buffer.copy_(before[name])  # running statistics move once a step, in the pass that learns
    wanted = _pass_gradients(process, learner, first, learns)

    def again(number: int, batch: Batch) -> Loss:
        _put_random_state(device, states[number])  # the same units are dropped out
        return _carried(task.embed(model, batch), wanted[number])

    return again


def _pass_gradients(
    process: Process, learner: Learner, passes: Sequence[Embedded], learns: Sequence[bool]
) -> list[_PassGradient]:
    """For each pass of this process, its share of the loss over the rows of all, and of its gradient."""
    mesh, device = process.mesh, process.accelerator.device
    kept = [
        {name: rows.detach() if own else rows.detach()[:0] for name, rows in embedded.items()}
        for embedded, own in zip(passes, learns, strict=True)
    ]
    names = sorted(passes[0])
    own_rows = {name: torch.cat([one[name] for one in kept]) for name in names}
    shares = {name: all_gather_rows(process.accelerator, rows) for name, rows in own_rows.items()}
    whole = {name: torch.cat(rows) for name, rows in shares.items()}
    leaves = {name: rows.requires_grad_() for name, rows in whole.items() if rows.is_floating_point()}
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        loss = learner.task.coupled_loss(whole)
        found = torch.autograd.grad(loss.total, list(leaves.values()), allow_unused=True)
    first = next(iter(shares.values()))
    begin, rows_in_all = sum(map(len, first[: mesh.dp_rank])), sum(map(len, first))
    made = []
    for one in kept:
        end = begin + len(one[names[0]])
        share = (end - begin) / max(rows_in_all, 1)
        gradients = {
            name: gradient[begin:end]
            for name, gradient in zip(leaves, found, strict=True)
            if gradient is not None
        }
        parts = {name: part.detach() * share for name, part in loss.parts.items()}
        made.append(_PassGradient(gradients, loss.total.detach() * share, parts))
        begin = end
    return made


def _carried(embedded: Embedded, wanted: _PassGradient) -> Loss:
    """A scalar with that value, whose gradient by what was embedded is the one that is wanted."""
    total = wanted.value
    for name, rows in embedded.items():
        if rows.requires_grad:
            gradient = wanted.gradients.get(name)
            fits = gradient is not None and len(gradient) == len(rows)
            along = (rows * gradient).sum() if fits else rows.sum() * 0.0
            total = total + (along - along.detach())
    return Loss(total, wanted.parts)


def _random_state(device: torch.device) -> RandomState:
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_device


def _put_random_state(device: torch.device, state: RandomState) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
