"""Weights in Python's pickle format run code when they are opened, so that they are not opened at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch

from tunesmith.errors import UserError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_NEVER_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "tokenizer")
_HINT = (
    "safetensors and GGUF are read: name a revision that has them, or open it once where its origin is "
    "trusted, save it with `save_pretrained`, and name that folder"
)


def refuse_pickled(path: Path, where: str = "model.source") -> None:
    """Refuse a file, or a folder, whose weights are pickled. Other pickles in a folder are not read.

    Raises:
        UserError: if nothing but a pickle holds the weights of the model or of its adapter.
    """
    if path.is_file():
        if path.suffix.lower() in PICKLED:
            raise _refusal(path.name, where)
        return
    names = sorted(entry.name for entry in path.iterdir())
    pickled = [name for name in names if name.endswith(PICKLED) and not name.startswith(_NEVER_WEIGHTS)]
    adapters = [name for name in pickled if name.startswith("adapter_")]
    safe = [name for name in names if name.endswith((".safetensors", ".safetensors.index.json", ".gguf"))]
    if adapters and "adapter_model.safetensors" not in safe:
        raise _refusal(adapters[0], where)
    if pickled and not safe:
        raise _refusal(pickled[0], where)


@contextmanager
def without_pickles() -> Iterator[None]:
    """Keep every library from opening a pickle inside the block, also where it would do so by itself.

    Raises:
        UserError: if one tries.
    """

    def refuse(file: Any = "a file", *_arguments: Any, **_options: Any) -> NoReturn:
        raise _refusal(Path(str(file)).name, "model.source")

    before = torch.load
    torch.load = refuse  # the one door through which transformers and peft go to pickles
    try:
        yield
    finally:
        torch.load = before


def _refusal(name: str, where: str) -> UserError:
    return UserError(
        f"`{name}` holds weights in Python's pickle format, which can run code, so that it is not read",
        where,
        _HINT,
    )
