"""One process, data parallelism, and FSDP2: the optimiser and the weights are torch's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from tunesmith.model.tune.select import block_stack
from tunesmith.train.engine.engine import Moments, Name, Update
from tunesmith.train.engine.mesh import mesh_of

SMALLEST_SCALE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """Whole weights on every process, or, with FSDP2, tensors that know how they are sharded.

    Attributes:
        accelerator: knows the other processes.
        model: prepared, for training.
        bare: the same model as it was before.
        optimizer: over the parameters that learn.
        scaler: of the loss, for float16.
        sharded: whether FSDP2 shards it.
    """

    accelerator: Accelerator
    model: Any
    bare: Any
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    sharded: bool

    @property
    def name(self) -> Name:
        """``single``, ``ddp`` or ``fsdp2``."""
        if self.sharded:
            return "fsdp2"
        return "ddp" if mesh_of(self.accelerator).dp_size > 1 else "single"

    @property
    def stage(self) -> int:
        """0, or 3 with FSDP2."""
        return 3 if self.sharded else 0

    def passing(self, *, last: bool) -> AbstractContextManager[None]:
        """Gradients travel after the last pass only."""
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """See ``Engine``."""
        return self.scaler.scale(loss) if self.scaler is not None else loss

    def update(self, *, learning_rate: float, clip: float | None, learn: bool) -> Update:
        """Clip and update; see ``Engine``."""
        optimizer = self.optimizer
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)
        grad_norm = self._clip(clip)
        applied = learn and math.isfinite(grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        rescaled = False
        if self.scaler is None and applied:
            optimizer.step()
        elif self.scaler is not None:
            rescaled = learn and not applied and self.scaler.get_scale() > SMALLEST_SCALE
            if applied:
                self.scaler.step(optimizer)
            self.scaler.update()
        optimizer.zero_grad(set_to_none=True)
        return Update(grad_norm, applied, rescaled)

    def weights(self, *, frozen: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
        """See ``Engine``."""
        for name, parameter in self._parameters().items():
            if parameter.requires_grad or frozen:
                yield name, whole(parameter.detach())

    def put_weights(self, values: Mapping[str, torch.Tensor]) -> None:
        """See ``Engine``."""
        own = self._parameters() | dict(self.bare.named_buffers())
        with torch.no_grad():
            for name, value in values.items():
                own[name].copy_(_like(value, own[name]))

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """See ``Engine``."""
        state = self.optimizer.state
        for name, parameter in self._parameters().items():
            if parameter.requires_grad and parameter in state:
                yield name, {key: whole(torch.as_tensor(value)) for key, value in state[parameter].items()}

    def put_moments(self, values: Mapping[str, Moments]) -> None:
        """See ``Engine``."""
        state = self.optimizer.state
        for name, parameter in self._parameters().items():
            if parameter.requires_grad and name in values:
                state[parameter] = {
                    key: _like(value, parameter) if value.shape == parameter.shape else value.clone()
                    for key, value in values[name].items()
                }

    def scale(self) -> dict[str, float]:
        """See ``Engine``."""
        return dict(self.scaler.state_dict()) if self.scaler is not None else {}

    def put_scale(self, state: Mapping[str, float]) -> None:
        """See ``Engine``."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(dict(state))

    def _parameters(self) -> dict[str, Any]:
        """By name, as the optimiser knows them; FSDP2 leaves the outermost ones whole after a pass."""
        if self.sharded:
            for module in self.bare.modules():
                if isinstance(module, FSDPModule):
                    module.reshard()
        return dict(self.bare.named_parameters())

    def _clip(self, clip: float | None) -> float:
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(learning, math.inf if clip is None else clip)
        return float(whole(norm))


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's whole value, gathered from all processes if it is sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _like(value: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """A whole value, laid out and placed as ``model`` is; a copy."""
    moved = value.to(device=model.device, dtype=model.dtype, copy=True)
    if isinstance(model, DTensor):
        return distribute_tensor(moved, model.device_mesh, model.placements)
    return moved


def settle_fsdp2(accelerator: Accelerator, model: Any) -> None:
    """Shard block by block, unless the profile names other modules.

    Accelerate would shard what the architecture says must not be split, embeddings among it, which it shards
    by itself as well; and it asks for embeddings also where there are none, as in image models.
    """
    plugin = accelerator.state.fsdp_plugin
    if plugin.transformer_cls_names_to_wrap is None:
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        stack = block_stack(sizes)
        blocks = model.get_submodule(stack).children() if stack else ()
        plugin.transformer_cls_names_to_wrap = sorted({type(block).__name__ for block in blocks})
    for name in ("get_input_embeddings", "get_output_embeddings"):
        try:
            getattr(model, name, lambda: None)()
        except NotImplementedError:
            setattr(model, name, lambda: None)
