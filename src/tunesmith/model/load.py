"""A model from its source or its configuration, with its head fitted to the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.errors import UserError
from tunesmith.model.location import Location, locate, open_location
from tunesmith.model.select import HEADS
from tunesmith.recipe.schema import Model


@dataclass(frozen=True, slots=True)
class Head:
    """What the task wants of the model's output.

    Attributes:
        auto_model: name of the transformers auto class.
        labels: class names; empty for language models and regression.
        regression: one output, a number.
    """

    auto_model: str
    labels: Sequence[str] = ()
    regression: bool = False

    def config_options(self) -> dict[str, Any]:
        """Entries of the model's configuration."""
        if self.regression:
            return {"num_labels": 1, "problem_type": "regression"}
        if not self.labels:
            return {}
        names = dict(enumerate(self.labels))
        return {
            "num_labels": len(names),
            "id2label": names,
            "label2id": {label: index for index, label in names.items()},
        }


def load_config(model: Model, head: Head, vocab_size: int | None = None) -> Any:
    """The transformers configuration, without weights.

    Raises:
        UserError: if there is none, or a new model's configuration is refused.
    """
    from transformers import AutoConfig

    if model.new is None:
        assert model.source is not None
        return open_location(locate(model.source, model), AutoConfig.from_pretrained)
    settings = dict(model.new)
    if vocab_size is not None:
        settings.setdefault("vocab_size", vocab_size)
    try:
        return AutoConfig.for_model(settings.pop("model_type"), **settings, **head.config_options())
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"transformers refuses this configuration: {str(error).splitlines()[0][:300]}",
            "model.new",
            "`model_type` is a transformers architecture, such as llama, bert or resnet",
        ) from error


def positions_of(config: Any) -> int | None:
    """Longest sequence that the model has positions for, if it has a limit."""
    text = config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(text, name, None)
        if isinstance(value, int) and 0 < value < 10**9:
            return value
    return None


def load_model(model: Model, head: Head, config: Any, dtype: torch.dtype) -> tuple[Any, frozenset[str]]:
    """The model on the CPU, and the names of its parameters that have no pretrained values."""
    import transformers

    auto = getattr(transformers, head.auto_model)
    attention = {} if "Image" in head.auto_model else {"attn_implementation": model.attention}
    if model.new is not None:
        made = auto.from_config(config, dtype=dtype, **attention)
        return made, frozenset(name for name, _ in made.named_parameters())
    assert model.source is not None
    location = locate(model.source, model)
    loaded, info = open_location(
        location,
        auto.from_pretrained,
        dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **attention,
        **head.config_options(),
    )
    _clear_gguf_mark(loaded, location)
    missing = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    fresh = frozenset(missing & {name for name, _ in loaded.named_parameters()})
    if head.labels and not fresh and tuple(_labels(config)) != tuple(head.labels):
        fresh = _reset_head(loaded)
    return loaded, fresh


def load_outline(model: Model, head: Head, config: Any) -> tuple[Any, frozenset[str]]:
    """The model without its weights (meta device), for counting; new parameters as far as one can tell."""
    import transformers

    auto = getattr(transformers, head.auto_model)
    for name, value in head.config_options().items():
        setattr(config, name, value)
    with torch.device("meta"):
        outline = auto.from_config(config)
    outline.tie_weights()
    names = [name for name, _ in outline.named_parameters()]
    if model.new is not None:
        return outline, frozenset(names)
    is_head = bool(head.labels or head.regression)
    return outline, frozenset(n for n in names if is_head and any(part in HEADS for part in n.split(".")))


def _labels(config: Any) -> list[str]:
    names = getattr(config, "id2label", None) or {}
    return [names[index] for index in sorted(names)]


def _reset_head(model: Any) -> frozenset[str]:
    """Start the output layer anew: it was trained for other classes."""
    names = [name for name, _ in model.named_parameters() if any(part in HEADS for part in name.split("."))]
    for module_name in {name.rsplit(".", 1)[0] for name in names}:
        module = model.get_submodule(module_name)
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return frozenset(names)


def _clear_gguf_mark(model: Any, location: Location) -> None:
    """Transformers calls a model from GGUF quantised, although its weights are plain tensors by now."""
    if location.gguf:
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = False
