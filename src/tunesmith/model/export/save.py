"""The finished model as a folder that plain transformers, or peft, opens on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tunesmith.checkpoint.atomic import publish_folder, staging_folder
from tunesmith.model.end_tokens import end_tokens_of
from tunesmith.model.export.merge import merged
from tunesmith.model.tune.select import is_head
from tunesmith.redact import redact
from tunesmith.world.unneeded_imports import without_importing


def export_model(
    model: Any,
    processor: Any,
    folder: Path,
    *,
    card: str,
    dtype: torch.dtype,
    merge: bool,
    further: Mapping[str, str] | None = None,
    still_ours: Callable[[], None] = lambda: None,
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
        further: text files to be written beside it, by their paths in the folder.
        still_ours: asked just before a folder gets its name; raises if it must not.
    """
    if hasattr(model, "peft_config") and merge:
        _publish(model, processor, folder.with_name("adapter"), {"README.md": card}, still_ours)
        model = merged(model, dtype := _stored_dtype(model, dtype))
    if not hasattr(model, "peft_config"):
        dtype = _stored_dtype(model, dtype)
        model = model.to(dtype)
        model.config.dtype = dtype
        _settle_generation(model, processor)
    _publish(model, processor, folder, {**(further or {}), "README.md": card}, still_ours)


def _stored_dtype(model: Any, dtype: torch.dtype) -> torch.dtype:
    """Float32 for a regression: bfloat16 has three digits, too few for numbers in the user's units."""
    return torch.float32 if getattr(model.config, "problem_type", None) == "regression" else dtype


def _settle_generation(model: Any, tokenizer: Any) -> None:
    """Let plain ``generate`` stop where training taught it to, and let the settings be written at all.

    Transformers reads settings that contradict each other, such as a temperature without sampling, but
    refuses to write them.
    """
    settings = getattr(model, "generation_config", None)
    if settings is None or not model.can_generate():
        return
    ends = end_tokens_of(tokenizer, settings)
    settings.eos_token_id = list(ends) if len(ends) > 1 else next(iter(ends), None)
    if not settings.do_sample:
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"):
            setattr(settings, name, None)


def _publish(
    model: Any, processor: Any, folder: Path, texts: Mapping[str, str], still_ours: Callable[[], None]
) -> None:
    temporary = staging_folder(folder)
    with without_importing("deepspeed"):  # else it is, only to see that the model is none of its engines
        model.save_pretrained(temporary)
    if hasattr(model, "peft_config") and getattr(model.config, "id2label", None) and not _speaks(model):
        model.config.save_pretrained(temporary)  # an adapter's own settings do not name the classes
    processor.save_pretrained(temporary)
    for name, text in texts.items():
        (temporary / name).parent.mkdir(exist_ok=True)
        (temporary / name).write_text(redact(text), encoding="utf-8")
    publish_folder(temporary, folder, replace=True, check=still_ours)


def _speaks(model: Any) -> bool:
    """Whether a model is one of language, which has no classes."""
    return bool(model.get_base_model().can_generate())


def fold_target_scale(model: Any, mean: float, scale: float) -> None:
    """Make a regression head answer in the user's units instead of standardised ones."""
    layer = output_layer(model)
    with torch.no_grad():
        layer.weight.mul_(scale)
        if layer.bias is not None:
            layer.bias.mul_(scale).add_(mean)


def unfold_target_scale(model: Any, mean: float, scale: float) -> None:
    """Make a head that answers in the user's units answer in standardised ones, in which it learns on."""
    layer = output_layer(model)
    with torch.no_grad():
        if layer.bias is not None:
            layer.bias.sub_(mean).div_(scale)
        layer.weight.div_(scale)


def output_layer(model: Any) -> Any:
    """The last linear layer of the head."""
    linear = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and is_head(name)
    ]
    assert linear, "a model for regression has a head with a linear layer"
    return linear[-1]
