"""The process's place among others, its device and its threads."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list

from tunesmith.errors import UserError
from tunesmith.recipe.schema import Run
from tunesmith.world.environment import World, read_world
from tunesmith.world.threads import exported_threads, threads_per_process, usable_cores

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process computes.

    Attributes:
        accelerator: knows the device and the other processes.
        world: rank and size.
        threads: this process computes with.
        profile: Accelerate's ``mixed_precision``.
    """

    accelerator: Accelerator
    world: World
    threads: int
    profile: str


def take_place(run: Run) -> Place:
    """Join the other processes, take a share of the cores, and seed every random number."""
    world = read_world(os.environ)
    # Unsaid, Accelerate would take it for 1 and say so to whoever reads the environment after it.
    os.environ.setdefault("LOCAL_WORLD_SIZE", str(world.local_world_size))
    requested = None if run.threads == "auto" else run.threads
    exported = exported_threads(os.environ.get("OMP_NUM_THREADS"))
    threads = threads_per_process(usable_cores(), world.local_world_size, requested, exported)
    torch.set_num_threads(threads)
    profile = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    on_cpu = not torch.cuda.is_available()
    gloo = [InitProcessGroupKwargs(backend="gloo")] if on_cpu and world.world_size > 1 else []
    accelerator = Accelerator(
        cpu=on_cpu, mixed_precision="fp16" if profile == "fp16" else "no", kwargs_handlers=gloo or None
    )
    seed_everything(run.seed, world.rank)
    return Place(accelerator, world, threads, profile)


def seed_everything(seed: int, rank: int) -> None:
    """Seed python, numpy and torch; each process draws its own dropout masks."""
    random.seed(seed * 1_000_003 + rank)
    np.random.seed((seed * 1_000_003 + rank) % 2**32)
    torch.manual_seed(seed * 1_000_003 + rank)


def from_main(accelerator: Accelerator, value: Any) -> Any:
    """The first process's value, on every process."""
    if accelerator.num_processes == 1:
        return value
    return broadcast_object_list([value])[0]


def on_main(accelerator: Accelerator, act: Callable[[], T]) -> T:
    """Do something in the first process alone; its value, or its ``UserError``, is everybody's.

    So all processes end alike, and none is left waiting for one that is gone.
    """
    if accelerator.num_processes == 1:
        return act()
    value, mistake = None, None
    if accelerator.is_main_process:
        try:
            value = act()
        except UserError as error:
            mistake = asdict(error)
    value, mistake = broadcast_object_list([value, mistake])
    if mistake is not None:
        raise UserError(**mistake)
    return cast(T, value)
