"""The image processor: the model's own, or a plain one for a model made from a configuration."""

from __future__ import annotations

from typing import Any

from tunesmith.model.location import locate, open_location
from tunesmith.recipe.schema import Model


def load_image_processor(model: Model) -> Any:
    """A transformers image processor that works on PIL images, without torchvision."""
    from transformers import AutoImageProcessor, ViTImageProcessor

    if model.source is not None:
        return open_location(locate(model.source, model), AutoImageProcessor.from_pretrained, use_fast=False)
    size = model.image_size
    return ViTImageProcessor(size={"height": size, "width": size})
