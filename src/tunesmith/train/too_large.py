"""When a step runs out of memory: half as many samples a pass, or a message that says what would fit."""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from tunesmith.errors import UserError
from tunesmith.plan.division import Division
from tunesmith.train.accelerator import Place
from tunesmith.train.out_of_memory import explain_out_of_memory
from tunesmith.train.parts import Parts
from tunesmith.train.setup import Setup
from tunesmith.train.state import State


class StepTooLarge(Exception):
    """A step ran out of memory; nothing was updated.

    Attributes:
        state: of the run before that step.
    """

    def __init__(self, state: State) -> None:
        super().__init__(f"step {state.progress.step + 1} ran out of memory")
        self.state = state


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or on the host; torch has a type for the former alone."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)


def with_micro(setup: Setup, micro: int | None) -> Setup:
    """The setup with so many samples a pass; the global batch, and with it the gradient, stays."""
    if micro is None:
        return setup
    old = setup.division
    division = Division(
        size=old.size, micro=micro, accumulation=old.size // old.processes // micro, processes=old.processes
    )
    return replace(setup, division=division, facts={**setup.facts, "micro_batch_size": micro})


def smaller(setup: Setup, large: StepTooLarge, parts: Parts, place: Place) -> State:
    """The state with half the samples a pass, if the recipe says `auto` and one process decides.

    Raises:
        UserError: otherwise; it says which part was too large, and what would fit.
    """
    division = setup.division
    ours = parts.recipe.batch.micro == "auto" and division.micro > 1 and division.processes == 1
    if not ours:
        raise UserError(
            f"{large}: {_advice(setup, parts, place)}",
            "batch.micro",
            "make that change and give the same command again: it goes on from the last checkpoint",
        ) from large
    setup.saver.wait()  # what it holds is memory, too
    large.__traceback__ = large.__cause__ = None  # they hold the activations
    setup.engine.model.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    micro = max(n for n in range(1, division.micro // 2 + 1) if division.micro % n == 0)
    return replace(large.state, micro=micro)


def _advice(setup: Setup, parts: Parts, place: Place) -> str:
    return explain_out_of_memory(
        parts,
        dtype=str(setup.dtype).removeprefix("torch."),
        device="gpu" if place.accelerator.device.type == "cuda" else "cpu",
        processes=place.world.world_size,
        local=place.world.local_world_size,
        stage=setup.engine.stage,
        engine=setup.engine.name,
    )
