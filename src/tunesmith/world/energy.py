"""Energy that this machine's own meters tell of: processor packages and NVIDIA devices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

Meter = Callable[[], float]
"""Joules since the call before; 0 at the first call."""
_DOMAINS = ("package", "dram")


def package_meter(root: Path = Path("/")) -> Meter | None:
    """Joules of all processor packages and their memory, by the kernel's ``powercap`` (RAPL).

    Args:
        root: where ``sys`` is found; tests put a small tree there.

    Returns:
        None if there is no such counter, or it may not be read (many systems keep it to the administrator).
    """
    counters = [folder for folder in sorted((root / "sys/class/powercap").glob("*:*")) if _is_counter(folder)]
    if not counters or any(_number(folder / "energy_uj") is None for folder in counters):
        return None
    before = {folder: _number(folder / "energy_uj") or 0 for folder in counters}

    def since() -> float:
        total = 0
        for folder in counters:
            now = _number(folder / "energy_uj")
            if now is None:
                continue
            # the counter begins anew at its range
            around = (_number(folder / "max_energy_range_uj") or 0) if now < before[folder] else 0
            total += now - before[folder] + around
            before[folder] = now
        return total / 1e6

    return since


def device_meter(uuid: str, library: str = "libnvidia-ml.so.1") -> Meter | None:
    """Joules of one NVIDIA device, by NVML's ``nvmlDeviceGetTotalEnergyConsumption`` (Volta and newer).

    Args:
        uuid: of the device, as NVML writes it: ``GPU-…``.
        library: of the driver.

    Returns:
        None if the driver or the device does not tell.
    """
    try:
        nvml = ctypes.CDLL(library)
        handle = ctypes.c_void_p()
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)):
            return None
        read = nvml.nvmlDeviceGetTotalEnergyConsumption
    except (OSError, AttributeError):
        return None
    millijoules = ctypes.c_ulonglong()
    if read(handle, ctypes.byref(millijoules)):
        return None
    before = millijoules.value

    def since() -> float:
        nonlocal before
        if read(handle, ctypes.byref(millijoules)):
            return 0.0
        spent, before = millijoules.value - before, millijoules.value
        return spent / 1000

    return since


def _is_counter(folder: Path) -> bool:
    try:
        return (folder / "name").read_text(encoding="utf-8").strip().startswith(_DOMAINS)
    except OSError:
        return False


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
