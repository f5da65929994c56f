"""What must survive: weights that learn, optimiser, random numbers, progress and the evaluator's memory.

Tensors are stored as safetensors and everything else as JSON; nothing here can run code when it is read.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tunesmith.errors import UserError

Tensors = dict[str, torch.Tensor]


def learned_tensors(model: torch.nn.Module) -> Tensors:
    """Parameters that learn, and buffers that training moves (running statistics), by name."""
    kept = {name: p for name, p in model.named_parameters() if p.requires_grad}
    persistent = model.state_dict().keys()
    kept |= {name: buffer for name, buffer in model.named_buffers() if name in persistent}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}


def restore_tensors(model: torch.nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Put saved tensors back where they were.

    Raises:
        UserError: if they are not those of this model.
    """
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    expected = set(learned_tensors(model))
    if expected != set(saved):
        odd = sorted(expected ^ set(saved))[:3]
        raise UserError(
            f"the checkpoint was written for other trained weights: {', '.join(odd)}",
            hint="the recipe's `model` or `tune` changed; use a new `run.dir`, or `--fresh`",
        )
    with torch.no_grad():
        for name, tensor in saved.items():
            own[name].copy_(tensor)


def write_tensors(path: Path, tensors: Tensors, **metadata: str) -> None:
    """Write tensors as safetensors; tied ones are stored apart."""
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, metadata=metadata or None)


def read_tensors(path: Path) -> Tensors:
    """Read tensors from safetensors, on the CPU."""
    return dict(load_file(path))


def write_optimizer(folder: Path, optimizer: torch.optim.Optimizer) -> None:
    """Split an optimiser's state into tensors and plain values."""
    state = optimizer.state_dict()
    tensors: Tensors = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value.detach().cpu().contiguous()
            else:
                plain.setdefault(str(index), {})[name] = value
    write_tensors(folder / "optimizer.safetensors", tensors)
    groups = [{k: v for k, v in group.items() if _is_plain(v)} for group in state["param_groups"]]
    (folder / "optimizer.json").write_text(json.dumps({"plain": plain, "groups": groups}))


def read_optimizer(folder: Path, optimizer: torch.optim.Optimizer) -> None:
    """Restore what ``write_optimizer`` wrote."""
    described = json.loads((folder / "optimizer.json").read_text())
    state: dict[int, dict[str, Any]] = {int(i): dict(entries) for i, entries in described["plain"].items()}
    for key, tensor in read_tensors(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    for group, saved in zip(groups, described["groups"], strict=True):
        group.update({k: tuple(v) if isinstance(group.get(k), tuple) else v for k, v in saved.items()})
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def write_random_state(folder: Path, rank: int) -> None:
    """Store the random state of python, numpy, torch and the accelerator of one process."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    write_tensors(folder / f"random-{rank}.safetensors", tensors)
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    numpy_state = [str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)]
    text = json.dumps({"python": random.getstate(), "numpy": numpy_state})
    (folder / f"random-{rank}.json").write_text(text)


def read_random_state(folder: Path, rank: int) -> None:
    """Restore what ``write_random_state`` wrote."""
    tensors = read_tensors(folder / f"random-{rank}.safetensors")
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    state = json.loads((folder / f"random-{rank}.json").read_text())
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | tuple | list)
