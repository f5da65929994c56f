"""Which number type the arithmetic and the frozen weights use."""

from __future__ import annotations

import torch

NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROFILE = {"no": "auto", "bf16": "bfloat16", "fp16": "float16", "fp8": "bfloat16"}


def choose_dtype(wanted: str, profile: str, device: torch.device) -> torch.dtype:
    """The recipe's type, else the profile's, else what this hardware multiplies fastest.

    Args:
        wanted: ``model.dtype``.
        profile: Accelerate's ``mixed_precision``.
        device: where the model will be.
    """
    name = wanted if wanted != "auto" else PROFILE.get(profile, "auto")
    return NAMES[name] if name != "auto" else fastest_dtype(device)


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it has hardware of its own, float32 elsewhere.

    A CPU without AMX or AVX-512 BF16 emulates bfloat16 and multiplies it several times slower than
    float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32
    return torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16 matrices."""
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
