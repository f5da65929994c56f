"""The process's place among others, its device and its threads."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import (
    DistributedType,
    InitProcessGroupKwargs,
    broadcast_object_list,
    parse_flag_from_env,
)

from tunesmith.errors import UserError
from tunesmith.recipe.schema.run import Run
from tunesmith.train.engine.mesh import Mesh, mesh_of
from tunesmith.train.engine.zero import import_deepspeed, skip_shared_memory_op
from tunesmith.train.supervise.heartbeat import Pulse
from tunesmith.world.environment import World, read_world
from tunesmith.world.threads import exported_threads, threads_per_process, usable_cores

T = TypeVar("T")
AFTER_THE_WATCH = 300.0
"""Seconds by which a collective outlasts ``run.deadline``, so that ``watch.py`` names who hangs."""


@dataclass(frozen=True, slots=True)
class Process:
    """This process among the others, and where it computes.

    Attributes:
        accelerator: knows the device and the other processes.
        world: rank and size.
        threads: this process computes with.
        profile: Accelerate's ``mixed_precision``.
        pulse: what this process tells of itself, and whether it was asked to leave.
    """

    accelerator: Accelerator
    world: World
    threads: int
    profile: str
    pulse: Pulse = field(default_factory=Pulse)

    @property
    def mesh(self) -> Mesh:
        """Where it stands on each axis along which the run is spread."""
        return mesh_of(self.accelerator)

    @property
    def is_main(self) -> bool:
        """Whether it is the first of all, which speaks and writes for them."""
        return bool(self.accelerator.is_main_process)

    def take_threads(self) -> None:
        """Compute with its own number of threads, whatever another recipe has set meanwhile."""
        torch.set_num_threads(self.threads)

    def together(self, phase: str, act: Callable[[], T]) -> T:
        """Do a part of the preparation; see ``Pulse.together``."""
        return self.pulse.together(self.accelerator, phase, act)


def join_processes(run: Run, pulse: Pulse | None = None, *, beside: int = 0) -> Process:
    """Join the other processes, take a share of the cores, and seed every random number.

    Args:
        run: the recipe's section.
        pulse: what this process tells of itself.
        beside: further processes on this machine that compute meanwhile, if there is nothing but its cores.
    """
    world = read_world(os.environ)
    # Unsaid, Accelerate would take it for 1 and say so to whoever reads the environment after it.
    os.environ.setdefault("LOCAL_WORLD_SIZE", str(world.local_world_size))
    requested = None if run.threads == "auto" else run.threads
    exported = exported_threads(os.environ.get("OMP_NUM_THREADS"))
    sharing = world.local_world_size + (0 if torch.cuda.is_available() else beside)
    threads = threads_per_process(usable_cores(), sharing, requested, exported)
    torch.set_num_threads(threads)
    profile = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    accelerator = _join(world, profile, patience=run.deadline + AFTER_THE_WATCH)
    seed_everything(run.seed, world.rank)
    return Process(accelerator, world, threads, profile, pulse or Pulse())


def _join(world: World, profile: str, *, patience: float) -> Accelerator:
    """Meet the other processes; the environment says what shards the model.

    Number types are the recipe's and the profile's affair and alike in every engine (model/precision.py),
    so Accelerate's own switch stays off, but for fp8, which replaces the linear layers.

    Args:
        world: this process's place.
        profile: Accelerate's ``mixed_precision``.
        patience: seconds that one process waits for another in a collective.
    """
    eight_bits = [eight_bit_recipe()] if profile == "fp8" else []
    on_cpu = not torch.cuda.is_available()
    group = InitProcessGroupKwargs(backend="gloo" if on_cpu else "nccl", timeout=timedelta(seconds=patience))
    meeting = [group] if world.world_size > 1 else []
    shards = [parse_flag_from_env(f"ACCELERATE_USE_{name}", False) for name in ("DEEPSPEED", "FSDP")]
    if on_cpu and shards[0]:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # unsaid, DeepSpeed looks for it and prints a warning
    if shards[0]:
        import_deepspeed()
    if on_cpu and shards[0]:
        skip_shared_memory_op()
    if on_cpu and shards[1] and world.world_size > 1:
        # Accelerate knows FSDP on devices only; "several GPUs" is its name for several processes.
        PartialState(backend="gloo").distributed_type = DistributedType.MULTI_GPU
    return Accelerator(
        cpu=on_cpu and not any(shards),
        mixed_precision="fp8" if eight_bits else "no",
        kwargs_handlers=[*meeting, *eight_bits] or None,
    )


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


FIRST_WITH_FP8 = (8, 9)
"""Compute capability of Ada; Hopper and Blackwell have more."""


def eight_bit_recipe() -> Any:
    """What Accelerate must be given to compute in fp8.

    Raises:
        UserError: if this machine's devices cannot, or torchao is missing.
    """
    able = torch.cuda.is_available() and torch.cuda.get_device_capability() >= FIRST_WITH_FP8
    if not able:
        raise UserError(
            "the profile asks for fp8, and no device here computes in it: it takes a GPU of compute "
            "capability 8.9 or more (Ada, Hopper, Blackwell)",
            "mixed_precision",
            "set it to `bf16` in the profile, or to `no` on a processor",
        )
    if find_spec("torchao") is None:
        raise UserError(
            "fp8 needs the package torchao, which is not installed",
            "mixed_precision",
            "pip install torchao, or set it to `bf16` in the profile",
        )
    from accelerate.utils import AORecipeKwargs

    return AORecipeKwargs()
