"""How many threads one process computes with, so that the machine is used whole and only once."""

from __future__ import annotations

import os
from pathlib import Path


def threads_per_process(
    cores: int, local_world_size: int, requested: int | None = None, exported: int | None = None
) -> int:
    """The share of a machine's cores that one of its processes computes with.

    ``OMP_NUM_THREADS=1`` counts as unsaid: it is what ``accelerate launch`` and ``torchrun`` export
    when nobody asked for anything, and on a machine with many cores it leaves all but one idle.
    Whoever wants one thread says so in the recipe (``run.threads: 1``). More than the granted cores
    counts as all of them: it is what ``accelerate launch`` exports in a container that is limited to a
    part of a large host, and threads without a core of their own only take turns.

    Args:
        cores: cores this machine grants to all of the run's processes together.
        local_world_size: processes of the run on this machine.
        requested: ``run.threads`` of the recipe; None stands for ``auto``.
        exported: ``OMP_NUM_THREADS``; None if it is not set.

    Returns:
        Number of threads, at least 1.
    """
    if requested is not None:
        return requested
    if exported is not None and exported > 1:
        return min(exported, max(1, cores))
    return max(1, cores // local_world_size)


def exported_threads(value: str | None) -> int | None:
    """Read the value of ``OMP_NUM_THREADS``.

    Args:
        value: the variable; None if it is not set. OpenMP also knows lists, one number per level
            of nested parallelism (``4,2``), whose first is meant.

    Returns:
        The number, or None where there is none that could be respected.
    """
    first = (value or "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else None


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may use: those it is bound to, less what its control group withholds.

    A container limited to two cores of a large host sees all of the host's; threads beyond its
    quota only take turns, so the quota counts.

    Args:
        root: where ``proc`` and ``sys`` are found; tests put a small tree there.

    Returns:
        Number of cores, at least 1; a quota with a fraction is rounded down.
    """
    quota = _quota(root)
    cores = _bound_cores()
    return cores if quota is None else max(1, min(cores, int(quota)))


def _bound_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> float | None:
    """The tightest limit, in cores, among this process's control group and those around it."""
    limits: list[float] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, controllers_and_path = line.partition(":")
        controllers, _, group = controllers_and_path.partition(":")
        for folder in _group_folders(root / "sys/fs/cgroup", controllers, group):
            limit = _limit_v1(folder) if controllers else _limit_v2(folder)
            if limit is not None:
                limits.append(limit)
    return min(limits, default=None)


def _group_folders(mount: Path, controllers: str, group: str) -> list[Path]:
    """Folders of a group and of all groups around it; version 2 names no controllers.

    Inside a container the group's own path may not exist below the mount, but its start does.
    """
    if not controllers:
        start = mount
    elif "cpu" in controllers.split(","):
        start = mount / controllers if (mount / controllers).is_dir() else mount / "cpu"
    else:
        return []
    folder = start / group.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(start))]


def _limit_v2(folder: Path) -> float | None:
    """Quota over period from ``cpu.max``: ``200000 100000`` are two cores, ``max`` is no limit."""
    words = _read(folder / "cpu.max").split()
    if len(words) != 2 or words[0] == "max":
        return None
    return _ratio(words[0], words[1])


def _limit_v1(folder: Path) -> float | None:
    """Quota over period from the first version's two files; a quota of -1 is no limit."""
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    if not quota.strip().isdigit() or not period.strip().isdigit() or int(period) == 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        # No such file on this kernel, in this container, or on a system that is not Linux.
        return ""
