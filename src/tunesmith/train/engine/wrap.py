"""Spread a model over the processes, as the profile says: whole, or sharded by ZeRO or FSDP2."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from tunesmith.errors import UserError
from tunesmith.train.engine.engine import Engine
from tunesmith.train.engine.replicated import Replicated, settle_fsdp2
from tunesmith.train.engine.zero import (
    Zero,
    backward_without_step,
    keep_transformers_out,
    scale_losses,
    settle,
)


def zero_stage(accelerator: Accelerator) -> int:
    """What will be sharded, by ZeRO's stages; FSDP2 shards what stage 3 does."""
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        return int(accelerator.state.deepspeed_plugin.zero_stage)
    return 3 if accelerator.distributed_type == DistributedType.FSDP else 0


def wrap_model(
    accelerator: Accelerator,
    model: Any,
    optimizer: torch.optim.Optimizer,
    *,
    clip: float | None,
    dtype: torch.dtype,
) -> Engine:
    """Give a model and its optimiser to the engine that the profile asks for.

    Raises:
        UserError: if the optimiser needs whole matrices and only has shards, or the profile makes no sense.
    """
    if zero_stage(accelerator) and isinstance(optimizer, torch.optim.Adafactor):
        raise UserError(
            "adafactor needs whole matrices, and this profile shards the optimiser's state",
            "optimizer.name",
            "use `adamw`, or a profile that shards nothing, such as `node`",
        )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        if not zero_stage(accelerator):
            raise UserError(
                "the profile starts DeepSpeed, and shards nothing",
                "deepspeed_config.zero_stage",
                "set it to 1, 2 or 3, or take a data parallel profile, such as `node`, which is faster",
            )
        settle(accelerator, clip)
        prepared, _ = accelerator.prepare(model, optimizer)
        keep_transformers_out()
        backward_without_step(accelerator)
        if dtype == torch.float16:
            scale_losses(prepared)
        return Zero(accelerator=accelerator, model=prepared, bare=model)
    sharded = accelerator.distributed_type == DistributedType.FSDP
    if sharded and not accelerator.is_fsdp2:
        raise UserError(
            "the profile asks for FSDP's first version",
            "fsdp_config.fsdp_version",
            "set it to 2, as launcher/node_fsdp2.yaml does",
        )
    if sharded:
        settle_fsdp2(accelerator, model)
    prepared, wrapped = accelerator.prepare(model, optimizer)
    return Replicated(
        accelerator=accelerator,
        model=prepared,
        bare=model,
        optimizer=getattr(wrapped, "optimizer", wrapped),
        scaler=torch.amp.GradScaler(accelerator.device.type) if dtype == torch.float16 else None,
        sharded=sharded,
    )
