"""DeepSpeed's ZeRO: the engine holds shards, and its own optimiser updates them.

ZeRO: Rajbhandari et al. 2020, arXiv 1910.02054. Numbers are as everywhere else: what learns is float32,
with float32 gradients and moments; frozen weights and products take the profile's type. DeepSpeed's own
``bf16`` and ``fp16`` modes stay off, so that every stage computes the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from tunesmith.errors import UserError
from tunesmith.train.engine.engine import Moments, Name, Update
from tunesmith.train.engine.mesh import mesh_of
from tunesmith.world.unneeded_imports import without_importing


@dataclass(frozen=True, slots=True, kw_only=True)
class Zero:
    """A model that DeepSpeed has sharded.

    Attributes:
        accelerator: knows the other processes.
        model: DeepSpeed's engine.
        bare: the model inside it.
    """

    accelerator: Accelerator
    model: Any
    bare: Any

    @property
    def name(self) -> Name:
        """``deepspeed``."""
        return "deepspeed"

    @property
    def stage(self) -> int:
        """0 to 3."""
        return int(self.model.zero_optimization_stage())

    def passing(self, *, last: bool) -> AbstractContextManager[None]:
        """Tell the engine, through Accelerate, whether this pass is the last of its step."""
        self.accelerator.gradient_state._set_sync_gradients(last)
        return nullcontext()

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """See ``Engine``; the engine scales by itself."""
        return loss

    def update(self, *, learning_rate: float, clip: float | None, learn: bool) -> Update:
        """Let the engine step: it clips, and leaves everything as it was if a gradient is not finite."""
        del clip  # The engine was told; and a loss that is not finite has such a gradient.
        for group in self.model.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.step()
        norm = self.model.get_global_grad_norm()
        grad_norm = float(norm) if norm is not None else 0.0
        applied = math.isfinite(grad_norm)
        scaler = self.model.optimizer.loss_scaler
        can_shrink = getattr(scaler, "dynamic", False) and scaler.cur_scale > scaler.min_scale
        return Update(grad_norm, applied, rescaled=learn and not applied and can_shrink)

    def weights(self, *, frozen: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
        """See ``Engine``."""
        from deepspeed.runtime.zero import GatheredParameters

        for name, parameter in self.bare.named_parameters():
            if parameter.requires_grad or frozen:
                with GatheredParameters([parameter], enabled=self.stage == 3):
                    value = parameter.detach().clone()
                yield name, value

    def put_weights(self, values: Mapping[str, torch.Tensor]) -> None:
        """See ``Engine``."""
        from deepspeed.runtime.zero import GatheredParameters
        from deepspeed.utils import safe_set_local_fp32_param

        own = dict(self.bare.named_parameters()) | dict(self.bare.named_buffers())
        for name, value in values.items():
            target = own[name]
            with GatheredParameters([target], modifier_rank=0, enabled=_sharded(target)), torch.no_grad():
                target.copy_(value)
            if _sharded(target) and target.requires_grad:
                safe_set_local_fp32_param(target, self._own_part(value, target))
        if self.stage in (1, 2):
            self.model.optimizer.refresh_fp32_params()

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """See ``Engine``."""
        from deepspeed.utils import safe_get_full_optimizer_state

        states = self._states()
        if not any("exp_avg" in state for state in states):
            return
        self._link_states()
        step = torch.as_tensor(float(states[0]["step"]))
        for name, parameter in self.bare.named_parameters():
            if parameter.requires_grad:
                whole = {
                    key: safe_get_full_optimizer_state(parameter, key).reshape(_shape(parameter))
                    for key in ("exp_avg", "exp_avg_sq")
                }
                yield name, {"step": step.clone(), **whole}

    def put_moments(self, values: Mapping[str, Moments]) -> None:
        """See ``Engine``."""
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        if not values:
            return
        self._make_states(next(iter(values.values()))["step"])
        for name, parameter in self.bare.named_parameters():
            if not parameter.requires_grad:
                continue
            for key in ("exp_avg", "exp_avg_sq"):
                value = values[name][key].to(self.accelerator.device)
                if _sharded(parameter):
                    part = self._own_part(value, parameter)
                    safe_set_local_optimizer_state(parameter, part, key)
                else:
                    safe_set_full_optimizer_state(parameter, value, key)

    def scale(self) -> dict[str, float]:
        """See ``Engine``."""
        scaler = self.model.optimizer.loss_scaler
        names = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")
        return {name: getattr(scaler, name) for name in names} if getattr(scaler, "dynamic", False) else {}

    def put_scale(self, state: Mapping[str, float]) -> None:
        """See ``Engine``."""
        for name, value in state.items():
            if hasattr(self.model.optimizer.loss_scaler, name):
                setattr(self.model.optimizer.loss_scaler, name, value)

    def _flats(self) -> list[torch.Tensor]:
        """The float32 shards that the inner optimiser updates."""
        optimizer = self.model.optimizer
        if self.stage == 3:
            return list(optimizer.fp32_partitioned_groups_flat)
        return list(optimizer.single_partition_of_fp32_groups)

    def _states(self) -> list[dict[str, Any]]:
        inner = self.model.optimizer.optimizer
        return [inner.state.get(flat, {}) for flat in self._flats()]

    def _make_states(self, step: torch.Tensor) -> None:
        """What the inner optimiser would make at its first step."""
        inner = self.model.optimizer.optimizer
        counts = not isinstance(inner, torch.optim.Optimizer) or "DeepSpeed" in type(inner).__name__
        for flat in self._flats():
            inner.state[flat] = {
                "step": int(step) if counts else step.clone(),
                "exp_avg": torch.zeros_like(flat),
                "exp_avg_sq": torch.zeros_like(flat),
            }
        self._link_states()

    def _link_states(self) -> None:
        """Link parameters to their state: stages 1 and 2 do it once, before the later groups have any."""
        if self.stage in (1, 2):
            self.model.optimizer._hp_optimizer_states_linked = False
            self.model.optimizer._lazy_init_hp_params_optimizer_state()

    def _own_part(self, value: torch.Tensor, parameter: Any) -> torch.Tensor:
        """This process's share of a whole value, padded as DeepSpeed pads the last one."""
        part = parameter.ds_tensor.numel()
        start = part * self.model.optimizer._get_param_partition_rank(parameter)
        flat = value.to(self.accelerator.device).flatten()[start : start + part]
        return torch.nn.functional.pad(flat, (0, part - flat.numel()))


def settle(accelerator: Accelerator, clip: float | None) -> None:
    """Complete DeepSpeed's configuration, before the model is given to it.

    Raises:
        UserError: if the profile turns on number types of DeepSpeed's own.
    """
    config = accelerator.state.deepspeed_plugin.deepspeed_config
    for section in ("fp16", "bf16"):
        if config.get(section, {}).get("enabled") is True:
            raise UserError(
                f"the profile's DeepSpeed configuration turns on its own `{section}` mode",
                "deepspeed_config",
                f"take the section `{section}` away, and say `mixed_precision: {section}` in the profile: "
                "weights that learn stay float32, products and frozen weights take that type",
            )
        config[section] = {"enabled": False}
    config["gradient_clipping"] = clip or 0.0
    # Micro-batches are summed by the step, which divides the loss once; DeepSpeed is told of none of it.
    config["gradient_accumulation_steps"] = 1
    config["train_micro_batch_size_per_gpu"] = 1
    config["train_batch_size"] = mesh_of(accelerator).dp_size
    config["steps_per_print"] = 2**62


def scale_losses(engine: Any) -> None:
    """Give DeepSpeed's optimiser a loss scale that follows the gradients, as its own float16 mode has."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler

    engine.optimizer.loss_scaler = DynamicLossScaler(
        init_scale=2.0**16,
        scale_window=2000,
        min_scale=1.0,
        delayed_shift=1,
        consecutive_hysteresis=False,
        raise_error_at_min_scale=False,
    )


def import_deepspeed() -> None:
    """Import DeepSpeed, but not MLflow, which its autotuner wants: that takes a second in every process."""
    with without_importing("mlflow"):
        import deepspeed  # noqa: F401


def skip_shared_memory_op() -> None:
    """Spare a run on processors the compilation of an operation that only inference calls.

    It needs a C++ compiler and half a minute, and a process that is killed meanwhile leaves a lock behind
    on which every later run waits for ever.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def keep_transformers_out() -> None:
    """Let transformers know nothing of ZeRO-3.

    It would shard every model that is made, also the whole copy that is exported, and let ``generate`` wait
    for processes that have nothing to generate. Accelerate tells it in ``Accelerator`` and in ``prepare``.
    """
    from transformers.integrations import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()


def backward_without_step(accelerator: Accelerator) -> None:
    """Let ``accelerator.backward`` only compute gradients: the step looks at them before it updates."""
    from accelerate.utils import DeepSpeedEngineWrapper

    class Backward(DeepSpeedEngineWrapper):
        def backward(self, loss: torch.Tensor, sync_gradients: bool = True, **kwargs: Any) -> None:
            self.engine.set_gradient_accumulation_boundary(is_boundary=sync_gradients)
            self.engine.backward(loss, **kwargs)

    accelerator.deepspeed_engine_wrapped = Backward(accelerator.deepspeed_engine_wrapped.engine)


def _sharded(parameter: Any) -> bool:
    return hasattr(parameter, "ds_id")


def _shape(parameter: Any) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)
