"""What must survive: weights that learn, optimiser, random numbers, progress and the evaluator's memory.

Tensors are stored as safetensors and everything else as JSON; nothing here can run code when it is read.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tunesmith.errors import UserError

Tensors = dict[str, torch.Tensor]


def moving_buffers(model: torch.nn.Module) -> Tensors:
    """Buffers that training moves (running statistics), by name."""
    persistent = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in persistent}


def refuse_other_names(expected: Set[str], saved: Set[str]) -> None:
    """Make sure that a checkpoint holds what this model learns.

    Raises:
        UserError: if it was written for other weights.
    """
    if expected != saved:
        odd = sorted(expected ^ saved)[:3]
        raise UserError(
            f"the checkpoint was written for other trained weights: {', '.join(odd)}",
            hint="the recipe's `model` or `tune` changed; use a new `run.dir`, or `--fresh`",
        )


def shard_name(kind: str, rank: int) -> str:
    """File of one process's share: ``weights.safetensors``, then ``weights.1.safetensors``, and so on."""
    return f"{kind}.safetensors" if rank == 0 else f"{kind}.{rank}.safetensors"


def read_shards(folder: Path, kind: str) -> Tensors:
    """What all processes wrote, whatever their number was."""
    paths = [folder / shard_name(kind, 0), *sorted(folder.glob(f"{kind}.*.safetensors"))]
    return {name: tensor for path in paths for name, tensor in read_tensors(path).items()}


def write_tensors(path: Path, tensors: Tensors, **metadata: str) -> None:
    """Write tensors as safetensors; tied ones are stored apart."""
    apart: Tensors = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if storage in storages else tensor
        storages.add(storage)
    save_file(apart, path, metadata=metadata or None)


def read_tensors(path: Path) -> Tensors:
    """Read tensors from safetensors, on the CPU."""
    return dict(load_file(path))


def flat_moments(name: str, moments: Mapping[str, torch.Tensor]) -> Tensors:
    """A parameter's optimiser state as tensors with one name each, ``exp_avg/layer.weight``."""
    return {f"{key}/{name}": tensor for key, tensor in moments.items()}


def unflatten_moments(tensors: Mapping[str, torch.Tensor]) -> dict[str, Tensors]:
    """From ``flat_moments`` of many parameters back to a state by parameter."""
    moments: dict[str, Tensors] = {}
    for key, tensor in tensors.items():
        kind, name = key.split("/", 1)
        moments.setdefault(name, {})[kind] = tensor
    return moments


def random_state() -> tuple[Tensors, dict[str, Any]]:
    """The random state of python, numpy, torch and the accelerator, as tensors and plain values."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    numpy_state = [str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)]
    return tensors, {"python": random.getstate(), "numpy": numpy_state}


def write_random_state(folder: Path, rank: int, state: tuple[Tensors, dict[str, Any]]) -> None:
    """Store the random state of one process."""
    write_tensors(folder / f"random-{rank}.safetensors", state[0])
    (folder / f"random-{rank}.json").write_text(json.dumps(state[1]), encoding="utf-8")


def read_random_state(folder: Path, rank: int) -> None:
    """Restore what ``write_random_state`` wrote."""
    tensors = read_tensors(folder / f"random-{rank}.safetensors")
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    state = json.loads((folder / f"random-{rank}.json").read_text(encoding="utf-8"))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
