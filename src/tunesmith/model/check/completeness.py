"""Whether the files of a model hold the model: no weight that they should hold may start at random."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from math import prod
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.model.check.notice import notice
from tunesmith.model.tune.select import block_of, block_stack, is_head

LARGER = 16
"""How many times the numbers in its files a model may have: two weights of 4 bits are one number there."""
SPARE = 10**8
"""Numbers of new heads and poolers, which no file holds."""
_SHOWN = 4


def refuse_incomplete(model: Any, absent: Collection[str], *, language: bool, name: str) -> None:
    """Refuse weights that are not there, or have another shape, unless they are a new head or a pooler.

    A language model has no new head: what its output layer lacks was lost on the way.

    Args:
        model: as loaded.
        absent: parameters and buffers without values of the files.
        language: whether it is to be a causal language model.
        name: of the model, for the message.

    Raises:
        UserError: naming some of them.
    """
    names = [key for key in model.state_dict() if key in absent]
    if language:
        lost = names
    else:
        stack = block_stack({key: value.numel() for key, value in model.named_parameters()})
        kept = {_top(key) for key in model.state_dict() if key not in absent}
        lost = [key for key in names if not _may_be_new(key, stack, kept)]
        lost = lost or (names if not kept else [])
    if lost:
        raise UserError(
            f"`{name}` lacks {len(lost)} weights of this model, or has them in another shape: {_some(lost)}",
            "model.source",
            "they would start at random; config.json and the weights must be of one model, saved whole: "
            "copy the folder again",
        )


def _may_be_new(key: str, stack: str, kept: Collection[str]) -> bool:
    if stack and block_of(key, stack) is not None:
        return False
    return is_head(key) or "pooler" in key.split(".") or _top(key) not in kept


def _top(key: str) -> str:
    return key.split(".", 1)[0]


def say_unused(unexpected: Iterable[str], name: str) -> None:
    """Say which weights of the files have no place in this model."""
    unused = sorted(unexpected)
    if unused:
        notice(
            f"{len(unused)} weights in `{name}` have no place in this model and are left out: {_some(unused)}"
        )


def _some(names: Collection[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in list(names)[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def refuse_larger(outline: Any, folder: Path) -> None:
    """Refuse a configuration that describes a model many times as large as its files, before memory is asked.

    Raises:
        UserError: with both sizes.
    """
    held = sum(numbers_in(path) for path in folder.glob("*.safetensors"))
    described = sum(parameter.numel() for parameter in outline.parameters())
    if held and described > LARGER * held + SPARE:
        raise UserError(
            f"`{folder}/config.json` describes a model of {described:,} numbers, and its files hold {held:,}",
            "model.source",
            "config.json and the weights must be of one model; copy the folder again",
        )


def numbers_in(path: Path) -> int:
    """How many numbers a safetensors file holds, by its header; 0 if it has none that can be read."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(path.stat().st_size, 100 << 20):
                return 0
            header = json.loads(file.read(length))
        return sum(prod(about["shape"]) for key, about in header.items() if key != "__metadata__")
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return 0  # whoever opens the weights says what is wrong with them
