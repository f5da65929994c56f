"""What a step costs: time, device-time, energy where a meter tells, and memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from accelerate import Accelerator

from tunesmith.judge.measurement import Progress
from tunesmith.world.energy import Meter, device_meter, package_meter
from tunesmith.world.memory import resident_bytes

Energy = Callable[[], float | None]
"""Joules of all processes since the call before; ``None`` if no meter tells."""


def open_energy(accelerator: Accelerator) -> Energy:
    """A meter over all processes, each of which asks its device, and one a machine the processors.

    All processes call it alike. If one of several has no meter at all, what the others tell would be too
    little, so nothing is told.
    """
    own: list[Meter | None] = [_own_device(accelerator)]
    if accelerator.is_local_main_process:
        own.append(package_meter())
    known = [meter for meter in own if meter is not None]
    # On a processor the first of a machine speaks for all of them.
    silent = not known and (accelerator.device.type != "cpu" or accelerator.is_local_main_process)
    if _sum(accelerator, float(silent)) > 0:
        return lambda: None
    return lambda: _sum(accelerator, sum(meter() for meter in known))


def _own_device(accelerator: Accelerator) -> Meter | None:
    if accelerator.device.type != "cuda":
        return None
    uuid = getattr(torch.cuda.get_device_properties(accelerator.device), "uuid", None)
    return device_meter(f"GPU-{uuid}") if uuid is not None else None


def advanced(
    before: Progress, *, epoch: float, tokens: int, seconds: float, joules: float | None, devices: int
) -> Progress:
    """How far a run is after one more step.

    Args:
        before: the step.
        epoch: where it is then.
        tokens: of the step's samples.
        seconds: since the run began.
        joules: spent by the step, if a meter tells.
        devices: that took part.
    """
    device_seconds = before.seconds if before.device_seconds is None else before.device_seconds
    # what was not metered from the start is not known
    metered = before.joules if before.step else before.joules or 0.0
    return Progress(
        step=before.step + 1,
        epoch=epoch,
        tokens=before.tokens + tokens,
        seconds=seconds,
        device_seconds=device_seconds + (seconds - before.seconds) * devices,
        joules=None if joules is None or metered is None else metered + joules,
    )


def memory_bytes(device: torch.device) -> int:
    """Memory in use by this process now: of its device, or of the machine where that is the device."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    return resident_bytes()


def _sum(accelerator: Accelerator, value: float) -> float:
    if accelerator.num_processes == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=accelerator.device)
    return float(accelerator.reduce(total, reduction="sum").item())
