"""One label for an image: a vision model with a classification head, cross-entropy."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL.Image import DecompressionBombError

from tunesmith.data.row import Row, Skip
from tunesmith.tasks.labels import label_index
from tunesmith.tasks.sequence_classification import score_classes
from tunesmith.tasks.task import Batch, Example, Scored, Sums


@dataclass(frozen=True, slots=True)
class ImageClassification:
    """The task ``image-classification``; ``processor`` is a transformers image processor."""

    processor: Any
    labels: tuple[str, ...]
    batch_size: int = 64
    auto_model: str = field(default="AutoModelForImageClassification", init=False)

    def encode(self, row: Row) -> Example | Skip:
        """Pixels [C, H, W] as the processor makes them, and the label's index."""
        index = label_index(str(row.fields["label"]), self.labels, row.id)
        try:
            image = open_image(row.fields["image"])
        except (OSError, ValueError, TypeError, DecompressionBombError) as error:
            return Skip(row.id, "malformed", f"not an image: {error}")
        pixels = self.processor(image, return_tensors="np")["pixel_values"][0]
        shown = row.fields["image"] if isinstance(row.fields["image"], str) else row.id
        return {"id": row.id, "input": str(shown), "label": index, "length": 1, "pixel_values": pixels}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pixels [B, C, H, W], labels [B]."""
        pixels = np.stack([example["pixel_values"] for example in examples])
        return {
            "pixel_values": torch.from_numpy(pixels).float(),
            "labels": torch.tensor([example["label"] for example in examples]),
        }

    def loss(self, model: Any, batch: Batch) -> Sums:
        """Cross-entropy in nats, summed over images."""
        logits = model(pixel_values=batch["pixel_values"]).logits
        loss = F.cross_entropy(logits.float(), batch["labels"], reduction="sum")
        return Sums(loss=loss, count=len(batch["labels"]), extra={})

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Loss and most likely label of each image."""
        scored: list[Scored] = score_classes(self, model, examples, self.labels)
        return scored

    def metrics(self) -> tuple[str, ...]:
        """Metrics over predicted labels."""
        return ("accuracy", "macro_f1")


def open_image(value: Any) -> Any:
    """An RGB image from a path, an array [H, W], [H, W, 1] or [H, W, 3], or a PIL image.

    Raises:
        ValueError: if an array has another shape, or anything but whole numbers from 0 to 255.
    """
    from PIL import Image

    if isinstance(value, str):
        with Image.open(value) as image:
            return image.convert("RGB")
    if isinstance(value, Image.Image):
        return value.convert("RGB")
    array = np.asarray(value)
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))) or not array.size:
        raise ValueError(f"an image is [H, W], [H, W, 1] or [H, W, 3], and this is {list(array.shape)}")
    pixels = array.astype(np.uint8)
    if not np.array_equal(pixels, array):
        raise ValueError("pixels are whole numbers from 0 to 255")
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[2:] == (1,) else pixels).convert("RGB")
