"""Averages of weights: a running mean over steps, and a uniform mean of the last checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunesmith.checkpoint.manifest import checkpoint_name, verify
from tunesmith.checkpoint.shards import moving_buffers, read_shards
from tunesmith.errors import UserError
from tunesmith.recipe.schema.run import Average

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class RunningMean:
    """An exponential moving average of what learns and of the buffers that move, on the model's device.

    Attributes:
        decay: share of the mean that stays at each step, once it is warm.
        values: by name; changed in place.
        buffers: names of those that are buffers, which each process moves by its own samples.
    """

    decay: float
    values: Tensors
    buffers: frozenset[str]


def start_mean(model: Any, average: Average | None, *, stage: int) -> RunningMean | None:
    """A running mean that begins with the weights as they are; ``None`` if the recipe asks for none.

    Raises:
        UserError: if the weights are sharded.
    """
    if average is None or average.ema is None:
        return None
    if stage == 3:
        raise UserError(
            "a running mean of the weights needs them whole on every device, and this profile shards them",
            "run.average.ema",
            "use `run.average: {soup: 4}`, which averages checkpoints at the end, or the profile `node`",
        )
    values = {name: value.clone() for name, value in _moving(model)}
    return RunningMean(average.ema, values, frozenset(moving_buffers(model)))


def update_average(mean: RunningMean | None, model: Any, step: int, *, updated: bool) -> None:
    """Move the mean towards the weights after a step: ``m <- d m + (1 - d) w``.

    With ``d = min(decay, (1 + step) / (10 + step))``, so that early on, when the weights move fast, the mean
    does not hang on the beginning. Averages of SGD's path: Polyak and Juditsky 1992, SIAM J. Control
    Optim. 30:838-855; in large models e.g. Karras et al. 2024, arXiv 2312.02696, section 3.

    Args:
        mean: changed in place, if there is one.
        model: after a step.
        step: how many steps are done.
        updated: whether the step changed anything.
    """
    if mean is None or not updated:
        return
    decay = min(mean.decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, value in _moving(model):
            held = mean.values[name]
            if held.is_floating_point():
                held.lerp_(value, 1 - decay)
            else:
                held.copy_(value)


def share_of(mean: RunningMean | None, *, rank: int, processes: int) -> Tensors:
    """Copies of what this process writes of the mean; buffers are those of the first."""
    if mean is None:
        return {}
    names = [name for name in mean.values if name not in mean.buffers][rank::processes]
    names += sorted(mean.buffers) if rank == 0 else []
    return {name: mean.values[name].detach().to("cpu", copy=True).contiguous() for name in names}


def put_mean(mean: RunningMean | None, saved: Mapping[str, torch.Tensor]) -> None:
    """Give the mean the values of a checkpoint, if both are there."""
    if mean is None:
        return
    for name, value in saved.items():
        mean.values[name].copy_(value)


def soup(run_dir: Path, steps: Sequence[int]) -> tuple[Tensors, int] | None:
    """The uniform mean of the weights of some checkpoints (Wortsman et al. 2022, arXiv 2203.05482).

    Numbers that are not floating, such as counts of batches, are the newest ones.

    Returns:
        Whole tensors by name, and how many checkpoints they are of; ``None`` if fewer than two are whole.
    """
    folders = [run_dir / "checkpoints" / checkpoint_name(step) for step in steps]
    whole = [folder for folder in folders if folder.is_dir() and not verify(folder)]
    if len(whole) < 2:
        return None
    total: Tensors = {}
    for folder in whole:
        for name, value in read_shards(folder, "weights").items():
            if not value.is_floating_point() or name not in total:
                total[name] = value.double() if value.is_floating_point() else value
            else:
                total[name] += value
    mean = {name: value / len(whole) if value.is_floating_point() else value for name, value in total.items()}
    return mean, len(whole)


def _moving(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter.detach()
    yield from moving_buffers(model).items()
