"""Who this process is among how many, read once from what its launcher exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunesmith.errors import UserError

_OF_ACCELERATE = ("ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_CPU")
"""What `accelerate launch` always sets; a shell may have others of its variables, such as a log level."""
Launcher = Literal["python", "accelerate", "torchrun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The place of one process.

    Attributes:
        rank: number of this process among all, from 0.
        local_rank: number of this process among those of its machine, from 0.
        world_size: number of processes in all.
        local_world_size: number of processes on this machine.
        launcher: what started the process; ``python`` if nothing announced itself.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    local_world_size: int = 1
    launcher: Launcher = "python"

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that prints and writes."""
        return self.rank == 0

    @property
    def machines(self) -> int:
        """Number of machines, if each runs as many processes as this one."""
        return -(-self.world_size // self.local_world_size)


def read_world(environ: Mapping[str, str]) -> World:
    """Read the place of this process from its environment.

    Args:
        environ: the environment, usually ``os.environ``.

    Returns:
        The place; a process that nothing launched is the only one.

    Raises:
        UserError: the launcher's variables are no numbers, or contradict each other.
    """
    world_size = _number(environ, "WORLD_SIZE", default=1)
    # DeepSpeed's own launcher says LOCAL_SIZE. If neither is said, all processes share this machine.
    local_name = "LOCAL_WORLD_SIZE" if "LOCAL_WORLD_SIZE" in environ else "LOCAL_SIZE"
    world = World(
        rank=_number(environ, "RANK", default=0),
        local_rank=_number(environ, "LOCAL_RANK", default=0),
        world_size=world_size,
        local_world_size=_number(environ, local_name, default=world_size),
        launcher=_launcher(environ),
    )
    _check(world)
    return world


def _number(environ: Mapping[str, str], name: str, *, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise UserError(
            what=f"the environment variable `{name}` is `{text}`, which is not a whole number",
            hint=f"unset {name}, or start the run through `accelerate launch`, which sets it",
        )
    return int(text)


def _launcher(environ: Mapping[str, str]) -> Launcher:
    # Accelerate starts several processes through torch's elastic launcher, so it is asked first.
    if any(name in environ for name in _OF_ACCELERATE):
        return "accelerate"
    return "torchrun" if "TORCHELASTIC_RUN_ID" in environ else "python"


def _check(world: World) -> None:
    problem = ""
    if world.world_size < 1 or world.local_world_size < 1:
        problem = "a world of no processes"
    elif world.rank >= world.world_size:
        problem = f"RANK={world.rank} in a world of WORLD_SIZE={world.world_size}"
    elif world.local_world_size > world.world_size:
        problem = f"LOCAL_WORLD_SIZE={world.local_world_size} in a world of WORLD_SIZE={world.world_size}"
    elif world.local_rank >= world.local_world_size:
        problem = f"LOCAL_RANK={world.local_rank} with LOCAL_WORLD_SIZE={world.local_world_size}"
    if problem:
        raise UserError(
            what=f"the launcher's environment contradicts itself: {problem}",
            hint="unset RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, or start with `accelerate launch`",
        )
