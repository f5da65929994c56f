"""What this process is doing, for whoever watches; and whether it shall leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from tunesmith.world.signals import Leaving, StopFlag

T = TypeVar("T")


@dataclass(slots=True)
class Pulse:
    """The newest sign of life.

    Attributes:
        flag: whether to leave.
        phase: what is being done.
        step: of the training.
        beats: grows with each sign of life.
        begun: whether there is something that a sudden end could lose.
        tell: tells the other processes at once.
    """

    flag: StopFlag = field(default_factory=StopFlag)
    phase: str = "start"
    step: int = 0
    beats: int = 0
    begun: bool = False
    tell: Callable[[], None] = lambda: None

    def enter(self, phase: str, step: int | None = None) -> None:
        """A phase begins, or goes on with another step."""
        before, self.phase, self.step = self.phase, phase, self.step if step is None else step
        self.beats += 1
        if phase != before:
            self.tell()

    def beat(self) -> None:
        """Give a sign of life."""
        self.beats += 1

    def look(self) -> None:
        """Give a sign of life, and leave if asked to.

        Raises:
            Leaving: if a signal came.
        """
        self.beats += 1
        if self.flag.asked:
            raise Leaving

    def together(self, accelerator: Accelerator, phase: str, act: Callable[[], T]) -> T:
        """Do a part of the preparation; if any process was asked to leave, all leave after it.

        Raises:
            Leaving: in all of them.
        """
        self.enter(phase)
        made: list[T] = []
        try:
            made.append(act())
        except Exception as error:
            # A signal to the whole group ends helpers too, a download for instance.
            if not (isinstance(error, Leaving) or self.flag.asked):
                raise
        try:
            leaving = any(all_gather_objects(accelerator, [self.flag.asked]))
        except RuntimeError:  # one that was asked is gone already
            if not self.flag.asked:
                raise
            leaving = True
        if leaving:
            raise Leaving
        return made[0]


def all_gather_objects(accelerator: Accelerator, mine: Sequence[T]) -> list[T]:
    """The lists of all processes, one after the other."""
    if accelerator.num_processes == 1:
        return list(mine)
    found: list[T] = gather_object(list(mine))
    return found


@contextmanager
def with_heartbeat(model: Any, look: Callable[[], None]) -> Iterator[None]:
    """Look before each forward pass: an evaluation batch, or a generated token of each of a batch."""
    hooks = [
        module.register_forward_pre_hook(lambda *_: look())
        for module in dict.fromkeys((model, inner_model(model)))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def inner_model(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside peft's, whose ``generate`` calls it past the outermost module."""
    inner: torch.nn.Module = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner
