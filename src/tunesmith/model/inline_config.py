"""A configuration that the recipe spells out: transformers takes any words, and this looks at them first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch

from tunesmith.errors import UserError


def configuration(settings: Mapping[str, Any], options: Mapping[str, Any], image_size: int) -> Any:
    """The transformers configuration of ``model.new``.

    Args:
        settings: ``model_type`` and keys of that architecture.
        options: what the task adds.
        image_size: height and width of the images that a vision model will get.

    Raises:
        UserError: if transformers refuses it, or a key is none of the architecture's, which it would keep
            without a word and without an effect.
    """
    from transformers import AutoConfig

    rest = {key: value for key, value in settings.items() if key != "model_type"}
    with refused_by_transformers():
        config = AutoConfig.for_model(settings["model_type"], **rest, **options)
        known = AutoConfig.for_model(settings["model_type"])
    for key, value in rest.items():
        if value is not None and not _knows(known, key):
            near = get_close_matches(key, [name for name in vars(known) if not name.startswith("_")], n=1)
            guess = f"did you mean `{near[0]}`? " if near else ""
            raise UserError(
                f"a `{settings['model_type']}` model has no setting `{key[:60]}`",
                "model.new",
                f"{guess}Its settings are those of its configuration in transformers",
            )
    if hasattr(config, "image_size") and "image_size" not in rest:
        config.image_size = image_size
    return config


def _knows(config: Any, key: str) -> bool:
    return hasattr(config, key) or hasattr(config, f"_{key}") or key in getattr(config, "attribute_map", {})


@contextmanager
def refused_by_transformers() -> Iterator[None]:
    """Whatever transformers makes of a configuration that the recipe spells out, the recipe must change."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise UserError(
            f"transformers refuses this configuration: {name}{reason}",
            "model.new",
            "`model_type` is a transformers architecture, such as llama, bert or resnet; the other keys are "
            "those of its configuration",
        ) from error


def try_out(model: Any, image_size: int) -> None:
    """Send two small inputs through a new model, to know before the first step whether its sizes fit.

    Only where every architecture takes the same inputs: images, and tokens of a decoder. Nothing is drawn by
    lot and nothing is changed.

    Raises:
        UserError: if the model cannot compute.
    """
    weights = list(model.parameters())
    if not weights or any(weight.is_meta or not weight.numel() for weight in weights):
        return  # there is nothing to compute with, or only a share of it
    name, training = type(model).__name__, model.training
    if "Image" in name:
        inputs = {"pixel_values": torch.zeros(2, 3, image_size, image_size, dtype=weights[0].dtype)}
    elif name.endswith("ForCausalLM"):
        inputs = {"input_ids": torch.zeros(2, 1, dtype=torch.long)}
    else:
        return
    model.eval()
    with refused_by_transformers(), torch.no_grad():
        model(**inputs)
    model.train(training)
