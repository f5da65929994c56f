"""In which mode a pass is computed: its number type, and the statistics that stand still in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from tunesmith.train.engine.engine import Engine


@contextmanager
def frozen_statistics(engine: Engine, wanted: bool) -> Iterator[None]:
    """Let normalisations over batches use and keep their running statistics; all else stays as it is."""
    modules = engine.model.modules() if wanted else ()
    moving = [one for one in modules if isinstance(one, _BatchNorm) and one.training]
    for module in moving:
        module.training = False
    try:
        yield
    finally:
        for module in moving:
            module.training = True


def training_autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Around a pass whose products are of another type than its weights; ``None`` if they are not."""
    # Each weight is used once in a pass, so keeping its cast copies for another use would only hold memory.
    return torch.autocast(device.type, dtype, cache_enabled=False) if dtype is not None else nullcontext()


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """The whole model as it answers; afterwards each module is in its mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
