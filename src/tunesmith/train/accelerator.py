"""The process's place among others, its device and its threads."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list

from tunesmith.recipe.schema import Run
from tunesmith.world.environment import World, read_world
from tunesmith.world.threads import exported_threads, threads_per_process, usable_cores


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
