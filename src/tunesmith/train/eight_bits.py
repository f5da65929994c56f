"""Products in fp8 (arXiv 2209.05433), where the hardware has them: through torchao, as Accelerate offers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from tunesmith.errors import UserError

FIRST_WITH_FP8 = (8, 9)
"""Compute capability of Ada; Hopper and Blackwell have more."""


def eight_bit_recipe() -> Any:
    """What Accelerate must be given to compute in fp8.

    Raises:
        UserError: if this machine's devices cannot, or torchao is missing.
    """
    able = torch.cuda.is_available() and torch.cuda.get_device_capability() >= FIRST_WITH_FP8
    if not able:
        raise UserError(
            "the profile asks for fp8, and no device here computes in it: it takes a GPU of compute "
            "capability 8.9 or more (Ada, Hopper, Blackwell)",
            "mixed_precision",
            "set it to `bf16` in the profile, or to `no` on a processor",
        )
    if find_spec("torchao") is None:
        raise UserError(
            "fp8 needs the package torchao, which is not installed",
            "mixed_precision",
            "pip install torchao, or set it to `bf16` in the profile",
        )
    from accelerate.utils import AORecipeKwargs

    return AORecipeKwargs()
