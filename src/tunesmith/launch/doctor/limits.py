"""What the system grants a process: memory, shared memory, open files."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.world.threads import exported_threads, usable_cores

_MEMORY = 2e9  # bytes for one process with torch and a small model
_SHARED = 1e9  # bytes; a container gets 64 MB unless it is asked for more
_FILES = 4096


def check_limits(
    needs: Requirements, *, root: Path = Path("/"), environ: Mapping[str, str] = os.environ
) -> list[DoctorFinding]:
    """Look at the limits of this machine and this shell.

    Args:
        needs: how many processes share them.
        root: where ``proc``, ``sys`` and ``dev`` are found; tests put a small tree there.
        environ: for ``OMP_NUM_THREADS``.
    """
    return [_memory(needs, root), *_shared_memory(needs, root), _open_files(), _threads(needs, environ)]


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that new processes may use: of the machine, and within this process's control group."""
    rows = dict(line.split(":", 1) for line in _read(root / "proc/meminfo").splitlines() if ":" in line)
    words = rows.get("MemAvailable", "").split()
    free = [int(words[0]) * 1024] if words else []
    group = root / "sys/fs/cgroup" / _group(root).lstrip("/")
    for folder in (group, *group.parents):
        most, used = _read(folder / "memory.max").strip(), _read(folder / "memory.current").strip()
        if most.isdigit() and used.isdigit():
            free.append(max(0, int(most) - int(used)))
    return min(free, default=None)


def _group(root: Path) -> str:
    lines = _read(root / "proc/self/cgroup").splitlines()
    return next((line.split("::", 1)[1] for line in lines if line.startswith("0::")), "")


def _memory(needs: Requirements, root: Path) -> DoctorFinding:
    free = available_memory(root)
    if free is None:
        return DoctorFinding("memory", "unknown", "this system does not say how much memory is free")
    share = free / needs.local_processes
    what = f"{free / 1e9:.1f} GB free for {needs.local_processes} process(es)"
    if share < _MEMORY:
        remedy = "end other programs, ask for more memory (--mem), or choose a profile with fewer processes"
        return DoctorFinding("memory", "warning", what, remedy)
    return DoctorFinding("memory", "ok", what)


def _shared_memory(needs: Requirements, root: Path) -> list[DoctorFinding]:
    if needs.local_processes == 1:
        return []
    try:
        system = os.statvfs(root / "dev/shm")
    except OSError:
        what = "/dev/shm is missing, through which the processes of a machine talk"
        return [DoctorFinding("shared memory", "problem", what, "mount -t tmpfs tmpfs /dev/shm")]
    free = system.f_bavail * system.f_frsize
    what = f"{free / 1e9:.2f} GB free in /dev/shm"
    if free < _SHARED:
        remedy = "in a container: --shm-size=8g or --ipc=host; else `mount -o remount,size=8g /dev/shm`"
        return [
            DoctorFinding(
                "shared memory", "warning", f"{what}; NCCL may fail with `unhandled system error`", remedy
            )
        ]
    return [DoctorFinding("shared memory", "ok", what)]


def _open_files() -> DoctorFinding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FILES:
        return DoctorFinding(
            "open files", "ok", "unlimited" if soft == resource.RLIM_INFINITY else f"{soft} at once"
        )
    able = hard == resource.RLIM_INFINITY or hard >= _FILES
    remedy = f"`ulimit -n {_FILES}`" if able else f"raise `nofile` in /etc/security/limits.conf above {hard}"
    return DoctorFinding("open files", "warning", f"a process may open {soft} files at once", remedy)


def _threads(needs: Requirements, environ: Mapping[str, str]) -> DoctorFinding:
    cores, said = usable_cores(), exported_threads(environ.get("OMP_NUM_THREADS"))
    share = max(1, cores // needs.local_processes)
    if said is not None and said > share:
        what = f"OMP_NUM_THREADS={said} for each of {needs.local_processes} process(es) on {cores} cores"
        return DoctorFinding("threads", "warning", what, f"export OMP_NUM_THREADS={share}, or unset it")
    return DoctorFinding(
        "threads", "ok", f"{said if said and said > 1 else share} a process on {cores} cores"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
