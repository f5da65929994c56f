"""What a profile asks of the machines it will run on, as far as the doctor looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.launch.profiles.profile import Precision, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What is asked for.

    Attributes:
        processes: in all.
        machines: that share them evenly.
        device: ``cpu``, ``gpu``, or ``any`` for what is there.
        deepspeed: whether DeepSpeed does the sharding.
        precision: Accelerate's ``mixed_precision``.
        offload: whether state is moved to the memory of the processor, or to a disk.
        disk: folder that state is offloaded to, if it is one.
        quantized: whether frozen weights have 4 or 8 bits.
    """

    processes: int = 1
    machines: int = 1
    device: Literal["cpu", "gpu", "any"] = "any"
    deepspeed: bool = False
    precision: Precision = "no"
    offload: bool = False
    disk: Path | None = None
    quantized: bool = False

    @property
    def local_processes(self) -> int:
        """Processes of each machine."""
        return max(1, -(-self.processes // max(1, self.machines)))


def requirements_of(profile: Profile | None, *, quantized: bool = False) -> Requirements:
    """What a profile asks for; without one, what a plain ``accelerate launch`` would use."""
    if profile is None:
        return Requirements(quantized=quantized)
    resting = (profile.offload_optimizer, profile.offload_parameters)
    return Requirements(
        processes=profile.processes,
        machines=profile.machines,
        device=profile.device,
        deepspeed=profile.engine == "deepspeed",
        precision=profile.precision,
        offload=any(place != "none" for place in resting),
        disk=Path(profile.nvme_folder) if profile.nvme_folder and "nvme" in resting else None,
        quantized=quantized,
    )
