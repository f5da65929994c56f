"""What this machine has to compute with, without joining any other process."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from typing import Literal

import torch

from tunesmith.model.check.kernels import fetch_no_kernels
from tunesmith.model.precision import PROFILE, fastest_dtype
from tunesmith.world.library_output import quiet_imports
from tunesmith.world.memory import machine_memory

Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """This machine.

    Attributes:
        gpus: number of GPUs that a process would see.
        gpu_memory: bytes of the smallest of them; None without.
        gpu_name: as its driver calls it; empty without.
        host_memory: bytes of the machine; None if it does not tell.
    """

    gpus: int
    gpu_memory: int | None
    gpu_name: str
    host_memory: int | None

    def capacity(self, device: Device, processes: int) -> float | None:
        """Bytes for each of so many processes on this machine; None if nothing here tells."""
        if device == "gpu":
            return self.gpu_memory
        return None if self.host_memory is None else self.host_memory / processes

    def dtype(self, wanted: str, precision: str, device: Device) -> str:
        """Type of the arithmetic: the recipe's, else the profile's, else the fastest.

        Args:
            wanted: ``model.dtype``.
            precision: the profile's.
            device: a GPU that is not here is taken to have bfloat16.
        """
        name = wanted if wanted != "auto" else PROFILE.get(precision, "auto")
        if name != "auto":
            return name
        if device == "gpu" and self.gpus == 0:
            return "bfloat16"
        return str(fastest_dtype(torch.device("cuda" if device == "gpu" else "cpu"))).removeprefix("torch.")


def detect_hardware() -> Hardware:
    """Ask torch and the system."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [torch.cuda.get_device_properties(index) for index in range(count)]
    return Hardware(
        gpus=count,
        gpu_memory=min((each.total_memory for each in found), default=None),
        gpu_name=found[0].name if found else "",
        host_memory=machine_memory(),
    )


def silence_libraries() -> None:
    """Turn off progress bars, notices and warnings of the libraries underneath; errors stay."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else deepspeed warns that it found no other
    fetch_no_kernels()
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    quiet_imports()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|accelerate)\b")
