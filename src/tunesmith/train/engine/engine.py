"""What differs between the ways of spreading a model over processes, as one interface.

The loop, the step, evaluation, checkpoints and the export know only this. Two files carry it out:
``replicated.py`` for one process, data parallelism and FSDP2, and ``zero.py`` for DeepSpeed's ZeRO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

Name = Literal["single", "ddp", "deepspeed", "fsdp2"]
Moments = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Update:
    """What became of a gradient.

    Attributes:
        grad_norm: global norm before clipping; infinite or not a number if the gradient was not finite.
        applied: whether the weights changed.
        rescaled: the gradient did not fit in float16; the loss scale was lowered, and nothing else.
    """

    grad_norm: float
    applied: bool
    rescaled: bool = False


class Engine(Protocol):
    """One way of spreading weights, gradients and the optimiser's state over processes.

    Every method is called by all processes alike: any of them may have to talk to the others.
    """

    @property
    def name(self) -> Name:
        """How it is spread."""

    @property
    def stage(self) -> int:
        """What is sharded, by ZeRO's stages (arXiv 1910.02054): 0 nothing … 3 the weights as well."""

    @property
    def model(self) -> Any:
        """The model as it is called for training."""

    def passing(self, *, last: bool) -> AbstractContextManager[None]:
        """Around the forward and backward pass of one micro-batch; ``last`` of its step."""

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss as ``backward`` shall take it: times the loss scale, for float16."""

    def update(self, *, learning_rate: float, clip: float | None, learn: bool) -> Update:
        """Clip, update the weights unless the gradient is not finite, and clear the gradients.

        Without ``learn`` nothing is updated; DeepSpeed, which decides by itself, does it all the same.
        """

    def weights(self, *, frozen: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
        """Name and whole value of each parameter that learns (and of the frozen ones), one at a time."""

    def put_weights(self, values: Mapping[str, torch.Tensor]) -> None:
        """Give parameters and buffers new whole values."""

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """Name of each parameter that learns and the optimiser's whole state for it, one at a time."""

    def put_moments(self, values: Mapping[str, Moments]) -> None:
        """Give the optimiser a state, also before its first step."""

    def scale(self) -> dict[str, float]:
        """State of the float16 loss scale; empty without one."""

    def put_scale(self, state: Mapping[str, float]) -> None:
        """Restore what ``scale`` gave."""
