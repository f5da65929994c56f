"""How much memory this machine grants, and how much of it this process holds."""

from __future__ import annotations

import ctypes
from collections.abc import MutableMapping
from pathlib import Path

KERNELS = 256
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""oneDNN's own, and that of torch's layer above it, which holds what the first has let go."""


def machine_memory(root: Path = Path("/")) -> int | None:
    """Bytes that all processes together may use: the machine's, or what its control group leaves of it.

    Args:
        root: where ``proc`` and ``sys`` are found; tests put a small tree there.

    Returns:
        None where the system does not tell.
    """
    limits = [_total(root), *_group_limits(root)]
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None)


def resident_bytes() -> int:
    """Bytes of this process in memory now; 0 where the system does not tell."""
    for line in _read(Path("/proc/self/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def give_back_memory() -> None:
    """Give what has been freed back to the system, where the C library can (glibc).

    It keeps what was freed for later, apart for each thread: weights that threads have loaded would stay
    beside those that take their place.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _total(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _group_limits(root: Path) -> list[int | None]:
    """Version 2 writes ``max`` where there is no limit, version 1 a number near 2 to the 63."""
    names = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
    texts = [_read(root / name).strip() for name in names]
    return [int(text) for text in texts if text.isdigit()]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def bound_kernel_cache(environ: MutableMapping[str, str]) -> None:
    """Bound what is kept of oneDNN's compiled products; to be called before torch is imported.

    In bfloat16 it compiles one for each new shape, some 0.9 MB, and by default keeps 1,024. Packed rows have
    a new length in most steps, so that memory grows by a gigabyte. A length takes a dozen or two (three for
    each shape of layer), so 256 hold some twenty: with fewer, padded batches would compile again and again.
    What is set already stays.
    """
    for name in KERNEL_CACHES:
        environ.setdefault(name, str(KERNELS))
