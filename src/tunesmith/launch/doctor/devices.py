"""The devices: how many, what drives them, and which number types they multiply."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.probe import run_probe
from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.world.threads import usable_cores

_FP8 = (8, 9)  # compute capability of the first devices with fp8 products (Ada)
_DRIVER = Path("/proc/driver/nvidia/version")


def check_devices(needs: Requirements, *, seconds: float = 15.0) -> list[DoctorFinding]:
    """Look at the devices of this machine, in a process of its own, since a sick driver hangs."""
    order = {**asdict(needs), "disk": None}
    remedy = "`nvidia-smi` and see whether it hangs: then the driver does; else the machine is overloaded"
    return run_probe("devices", order, seconds=seconds, remedy=remedy)


def look_at_devices(needs: Requirements) -> list[DoctorFinding]:
    """The findings themselves; imports torch and asks the driver."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if needs.device == "cpu" or (needs.device == "any" and gpus == 0):
        return _processor(needs)
    if gpus < needs.local_processes:
        return [_too_few(needs, gpus, torch.version.cuda)]
    return _gpus(needs, gpus)


def _too_few(needs: Requirements, gpus: int, cuda: str | None) -> DoctorFinding:
    wanted = needs.local_processes
    what = f"the profile wants {wanted} GPU{'s' if wanted > 1 else ''} on each machine, and there are {gpus}"
    if cuda is None:
        return DoctorFinding(
            "devices",
            "problem",
            f"{what}: this torch was built without CUDA",
            "install a build of torch for GPUs (make env TORCH_ARGS=...), or choose launcher/cpu.yaml",
        )
    if gpus == 0 and not _DRIVER.exists():
        remedy = "install the NVIDIA driver, or in a container: `docker run --gpus all`; or launcher/cpu.yaml"
        return DoctorFinding("devices", "problem", f"{what}: no NVIDIA driver is loaded", remedy)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    shown = f" (CUDA_VISIBLE_DEVICES={hidden})" if hidden is not None else ""
    remedy = f"choose a profile with at most {max(gpus, 1)}, or add --num_processes {max(gpus, 1)}"
    return DoctorFinding("devices", "problem", what + shown, remedy)


def _gpus(needs: Requirements, gpus: int) -> list[DoctorFinding]:
    import torch

    used = range(needs.local_processes)
    names = sorted({torch.cuda.get_device_name(index) for index in used})
    memory = min(torch.cuda.mem_get_info(index)[0] for index in used)
    total = min(torch.cuda.mem_get_info(index)[1] for index in used)
    what = f"{gpus} GPUs, {', '.join(names)}, CUDA {torch.version.cuda}, driver {_driver()}"
    findings = [DoctorFinding("devices", "ok", what)]
    if len(names) > 1:
        slow = "the slowest sets the pace; choose equal ones with CUDA_VISIBLE_DEVICES"
        findings.append(DoctorFinding("devices", "warning", "the GPUs are not alike", slow))
    if memory < 0.9 * total:
        taken = f"{(total - memory) / 1e9:.0f} of {total / 1e9:.0f} GB of a GPU are taken already"
        findings.append(
            DoctorFinding("devices", "warning", taken, "`nvidia-smi` names the processes; end them")
        )
    return [*findings, *_precision_gpu(needs, min(torch.cuda.get_device_capability(index) for index in used))]


def _precision_gpu(needs: Requirements, capability: tuple[int, int]) -> list[DoctorFinding]:
    version = ".".join(map(str, capability))
    if needs.precision == "bf16" and capability < (8, 0):
        what = f"bf16 is emulated on GPUs of compute capability {version}, several times slower"
        return [DoctorFinding("precision", "problem", what, "set mixed_precision: fp16 in the profile")]
    if needs.precision == "fp8" and capability < _FP8:
        what = f"fp8 needs compute capability 8.9 or higher, and the GPUs have {version}"
        return [DoctorFinding("precision", "problem", what, "set mixed_precision: bf16 in the profile")]
    return [DoctorFinding("precision", "ok", f"{needs.precision}, compute capability {version}")]


def _processor(needs: Requirements) -> list[DoctorFinding]:
    from tunesmith.model.precision import cpu_multiplies_bfloat16

    cores, wanted = usable_cores(), needs.local_processes
    fast = cpu_multiplies_bfloat16()
    has = "with" if fast else "without"
    findings = [
        DoctorFinding("devices", "ok", f"processor, {cores} usable cores, {has} instructions for bfloat16")
    ]
    if wanted > cores:
        what = f"{wanted} processes share {cores} cores, and so take turns"
        remedy = f"choose a profile with at most {cores} processes on each machine"
        findings.append(DoctorFinding("devices", "warning", what, remedy))
    return [*findings, *_precision_cpu(needs.precision, fast)]


def _precision_cpu(precision: str, fast: bool) -> list[DoctorFinding]:
    if precision in ("fp16", "fp8"):
        what = f"{precision} is for GPUs, and the run would use the processor"
        return [DoctorFinding("precision", "problem", what, 'set mixed_precision: "no" in the profile')]
    if precision == "bf16" and not fast:
        what = "this processor emulates bf16, several times slower than float32"
        return [DoctorFinding("precision", "warning", what, 'set mixed_precision: "no" in the profile')]
    return []


def _driver() -> str:
    try:
        words: Any = _DRIVER.read_text(encoding="utf-8").split()
    except OSError:
        return "unknown"
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "unknown")
