"""What a checkpoint holds, copied from a run between two steps; and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from tunesmith.checkpoint.shards import (
    Tensors,
    flat_moments,
    moving_buffers,
    random_state,
    read_random_state,
    read_shards,
    refuse_other_names,
    shard_name,
    unflatten_moments,
    write_random_state,
    write_tensors,
)
from tunesmith.fault import fault
from tunesmith.train.engine.averaging import RunningMean, share_of
from tunesmith.train.engine.engine import Engine

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One process's share of a checkpoint, in memory that training does not touch.

    Attributes:
        rank: of the process.
        weights: whole tensors that this process writes; the others write the rest.
        moments: the same of the optimiser's state.
        random: of this process.
        plain: progress, history, verdict; written by the first process.
        mean: this process's share of the running mean of the weights, if there is one.
    """

    rank: int
    weights: Tensors
    moments: Tensors
    random: tuple[Tensors, dict[str, Any]]
    plain: dict[str, Any]
    mean: Tensors


def snapshot(
    engine: Engine,
    model: Any,
    plain: Mapping[str, Any],
    *,
    rank: int,
    processes: int,
    mean: RunningMean | None = None,
) -> Snapshot:
    """Copy what a continuation needs. Every process takes every ``processes``-th tensor, whole."""
    moments = {
        key: tensor
        for name, entries in _own(engine.moments(), rank, processes)
        for key, tensor in flat_moments(name, {k: _copy(v) for k, v in entries.items()}).items()
    }
    return Snapshot(
        rank=rank,
        weights=own_weights(engine, model, rank=rank, processes=processes),
        moments=moments,
        random=random_state(),
        plain={**plain, "loss_scale": engine.scale()},
        mean=share_of(mean, rank=rank, processes=processes),
    )


def own_weights(engine: Engine, model: Any, *, rank: int, processes: int) -> Tensors:
    """This process's share of the weights that learn; the first one adds the buffers that move."""
    weights = {name: _copy(value) for name, value in _own(engine.weights(), rank, processes)}
    buffers = moving_buffers(model) if rank == 0 else {}
    return weights | {name: _copy(buffer) for name, buffer in buffers.items()}


def write_snapshot(taken: Snapshot, folder: Path) -> None:
    """Write one process's share of a checkpoint."""
    fault("save-write")
    write_tensors(folder / shard_name("weights", taken.rank), taken.weights)
    write_tensors(folder / shard_name("optimizer", taken.rank), taken.moments)
    if taken.mean:
        write_tensors(folder / shard_name("mean", taken.rank), taken.mean)
    write_random_state(folder, taken.rank, taken.random)
    if taken.rank == 0:
        (folder / "state.json").write_text(json.dumps(taken.plain), encoding="utf-8")


def restore(
    folder: Path, engine: Engine, model: Any, rank: int, *, weights_only: bool = False
) -> dict[str, Any]:
    """Put a checkpoint back, also one that another number of processes wrote, or another stage.

    With ``weights_only``, the optimiser, the loss scale and the random numbers begin anew.

    Returns:
        The plain values that were given to ``snapshot``.

    Raises:
        UserError: if it was written for other weights.
    """
    restore_weights(folder, engine, model)
    plain: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if weights_only:
        return plain
    engine.put_moments(unflatten_moments(read_shards(folder, "optimizer")))
    if (folder / f"random-{rank}.json").exists():
        read_random_state(folder, rank)
    engine.put_scale(plain.get("loss_scale", {}))
    return plain


def restore_weights(folder: Path, engine: Engine, model: Any) -> None:
    """Put the weights of a checkpoint, or of the best measurement, back into the model.

    Raises:
        UserError: if they were written for other weights.
    """
    restore_tensors(read_shards(folder, "weights"), engine, model)


def restore_tensors(saved: Mapping[str, torch.Tensor], engine: Engine, model: Any) -> None:
    """Put whole tensors by name into the model.

    Raises:
        UserError: if they were written for other weights.
    """
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    refuse_other_names(learning | moving_buffers(model).keys(), saved.keys())
    engine.put_weights(saved)


def _own(items: Iterable[tuple[str, T]], rank: int, processes: int) -> Iterable[tuple[str, T]]:
    """Every process sees all items, since they may have to be gathered, and keeps its own."""
    return (item for index, item in enumerate(items) if index % processes == rank)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
