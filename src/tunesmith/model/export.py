"""The finished model as a folder that plain transformers, or peft, opens on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tunesmith.checkpoint.atomic import publish_folder, staging_folder
from tunesmith.model.select import HEADS


def export_model(
    model: Any, processor: Any, folder: Path, *, card: str, dtype: torch.dtype, merge: bool
) -> None:
    """Write ``folder``; for adapters that are merged, write the bare adapter beside it too.

    The model is changed by merging and is of no use for training afterwards.

    Args:
        model: unwrapped; a peft model if it has adapters.
        processor: tokenizer or image processor.
        folder: replaced as a whole if it exists.
        card: text of the model card.
        dtype: number type of the stored weights.
        merge: whether adapters become part of the weights.
    """
    if hasattr(model, "peft_config") and merge:
        _publish(model, processor, folder.with_name("adapter"), card)
        model = model.float().merge_and_unload()
    if not hasattr(model, "peft_config"):
        model = model.to(dtype)
        model.config.dtype = dtype
    _publish(model, processor, folder, card)


def _publish(model: Any, processor: Any, folder: Path, card: str) -> None:
    temporary = staging_folder(folder)
    model.save_pretrained(temporary)
    processor.save_pretrained(temporary)
    (temporary / "README.md").write_text(card, encoding="utf-8")
    publish_folder(temporary, folder, replace=True)


def fold_target_scale(model: Any, mean: float, scale: float) -> None:
    """Make a regression head answer in the user's units instead of standardised ones."""
    layer = output_layer(model)
    with torch.no_grad():
        layer.weight.mul_(scale)
        if layer.bias is not None:
            layer.bias.mul_(scale).add_(mean)


def output_layer(model: Any) -> Any:
    """The last linear layer of the head."""
    linear = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(part in HEADS for part in name.split("."))
    ]
    assert linear, "a model for regression has a head with a linear layer"
    return linear[-1]
