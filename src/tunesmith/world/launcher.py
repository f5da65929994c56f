"""Which process launched this one: it is looked for, since variables that announce one may be left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tunesmith.world.environment import read_world

_PROGRAMS = frozenset({"accelerate", "accelerate-launch", "torchrun", "deepspeed"})
_MODULES = (
    "accelerate.commands.",
    "torch.distributed.run",
    "torch.distributed.launch",
    "deepspeed.launcher.",
)
_WORDS = 4
"""Of a command line, in which a launcher's name may stand: interpreter, options, program."""
_GENERATIONS = 6


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, told from a later one with the same number.

    Attributes:
        pid: its number.
        start: when it began, in ticks since the machine did; 0 if that cannot be seen.
    """

    pid: int
    start: int

    def is_there(self) -> bool:
        """Whether it has not ended."""
        seen = _stat(self.pid)
        return seen is not None and seen.state != "Z" and (not self.start or seen.start == self.start)


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    parent: int
    start: int


@cache
def launched_by(pid: int, *names: str) -> ProcessIdentity | None:
    """The launcher among the ancestors of a process; it is looked for once, as early as it is asked for.

    Args:
        pid: of the process.
        names: of the variables in its environment that announce a launcher; without any there is none.
    """
    if not names:
        return None
    own = _stat(pid)
    for _ in range(_GENERATIONS):
        above = _stat(own.parent) if own is not None and own.parent > 1 else None
        if own is None or above is None:
            return None
        if is_launcher(_command(own.parent)):
            return ProcessIdentity(own.parent, above.start)
        own = above
    return None


def announced(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What the environment says of a launcher: nothing, or its name."""
    launcher = read_world(environ).launcher
    return () if launcher == "python" else (launcher,)


def process_of(pid: int) -> ProcessIdentity:
    """A process by its number, as it is now."""
    seen = _stat(pid)
    return ProcessIdentity(pid, 0 if seen is None else seen.start)


def is_launcher(words: Sequence[str]) -> bool:
    """Whether a command line is that of Accelerate's, torch's or DeepSpeed's launcher."""
    first = words[:_WORDS]
    return any(Path(word).name in _PROGRAMS or word.startswith(_MODULES) for word in first)


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def _stat(pid: int) -> _Stat | None:
    try:
        # The name in parentheses may hold blanks and parentheses; after it: state, parent, and so on.
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        after_name = stat.rpartition(")")[2].split()
        return _Stat(after_name[0], int(after_name[1]), int(after_name[19]))
    except (OSError, ValueError, IndexError):
        return None
