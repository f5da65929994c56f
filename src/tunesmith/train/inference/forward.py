"""Work with the model as it answers, in every process at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.mesh import Mesh
from tunesmith.train.engine.modes import evaluation_mode
from tunesmith.train.engine.process import Process
from tunesmith.train.inference.lockstep import in_lockstep
from tunesmith.train.supervise.heartbeat import with_heartbeat

T = TypeVar("T")


def infer(
    process: Process,
    learner: Learner,
    own: Callable[[], T],
    idle: Callable[[], object],
    *,
    may_leave: bool = True,
) -> T:
    """Do a work of forward passes without gradients; the model's modes are left as they were.

    Args:
        process: this one.
        learner: its model is not wrapped for training.
        own: this process's work; the others' may have more or fewer passes.
        idle: makes a forward pass, for those whose work is not done; its result is of no use.
        may_leave: whether to give up before a pass if this process was asked to leave.

    Raises:
        Leaving: it gave up; with sharded weights all processes do, and otherwise this one alone.
    """
    pulse, model, autocast = process.pulse, learner.model, learner.autocast
    share_buffers(process.mesh, model)
    device = process.accelerator.device.type
    look = pulse.look if may_leave and not learner.sharded else pulse.beat
    with (
        evaluation_mode(model),
        torch.autocast(device, autocast or torch.bfloat16, enabled=autocast is not None),
        torch.no_grad(),
        with_heartbeat(model, look),
    ):
        if not learner.sharded:
            return own()
        asked = (lambda: pulse.flag.asked) if may_leave else (lambda: False)
        return in_lockstep(process.accelerator, model, own, idle, asked=asked)


def share_buffers(mesh: Mesh, model: torch.nn.Module) -> None:
    """Give every process the first one's buffers, which are those that are saved.

    Each process moves its running statistics by its own samples; between two steps they differ.
    """
    if mesh.dp_size > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)
