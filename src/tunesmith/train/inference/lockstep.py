"""Evaluation with sharded weights: as long as one process computes, all take part in gathering them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch
from accelerate import Accelerator

from tunesmith.train.supervise.heartbeat import inner_model
from tunesmith.world.signals import Leaving

T = TypeVar("T")


def in_lockstep(
    accelerator: Accelerator,
    model: torch.nn.Module,
    work: Callable[[], T],
    idle: Callable[[], object],
    *,
    asked: Callable[[], bool] = lambda: False,
) -> T:
    """Do some work whose number of forward passes differs between processes.

    Sharded weights are gathered by all processes together, in every forward pass. So before each pass a
    process says that it is busy; one whose work is done makes idle passes until nobody is busy.

    Args:
        accelerator: knows the other processes.
        model: its forward passes are counted.
        work: this process's own.
        idle: makes a forward pass of the model, after which it is cut short; its result is of no use.
        asked: whether this process was asked to leave; if one was, all leave before the same pass.

    Raises:
        Leaving: in all of them.
    """

    def anybody_busy(busy: bool) -> bool:
        mine = torch.tensor([float(busy), float(asked())], device=accelerator.device)
        working, leaving = accelerator.reduce(mine, reduction="sum").tolist()
        if leaving > 0:
            raise Leaving
        return bool(working > 0)

    inside = False

    def announce(module: torch.nn.Module, _: object) -> None:
        nonlocal inside
        if not inside:
            anybody_busy(True)
        inside = inside or module is model

    def leave(*_: object) -> None:
        nonlocal inside
        inside = False

    # First of all hooks: the others may gather weights, and then nobody else would be there.
    modules = dict.fromkeys((model, inner_model(model)))
    hooks = [module.register_forward_pre_hook(announce, prepend=True) for module in modules]
    hooks.append(model.register_forward_hook(leave, always_call=True))
    try:
        result = work()
    finally:
        for hook in hooks:
            hook.remove()
    while anybody_busy(False):
        _one_forward(model, idle)
    return result


class _EnoughError(Exception):
    """One forward pass is over."""


def _one_forward(model: torch.nn.Module, idle: Callable[[], object]) -> None:
    """Begin a work, and end it with its first forward pass, whatever else it would do."""
    inside = False

    def enter(module: torch.nn.Module, _: object) -> None:
        nonlocal inside
        inside = inside or module is model

    def leave(module: torch.nn.Module, *_: object) -> None:
        if module is model or not inside:
            raise _EnoughError

    modules = dict.fromkeys((model, inner_model(model)))
    hooks = [module.register_forward_pre_hook(enter) for module in modules]
    # Last of all hooks: the others shard the weights again.
    hooks += [module.register_forward_hook(leave) for module in modules]
    try:
        with suppress(_EnoughError):
            idle()
    finally:
        for hook in hooks:
            hook.remove()
