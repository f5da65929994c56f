"""One label for an image: a vision model with a classification head, cross-entropy."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from tunesmith.data.map.images import open_picture
from tunesmith.data.passes import picture_length
from tunesmith.data.row import Row, Skip
from tunesmith.tasks.class_loss import PLAIN, ClassLoss, class_loss
from tunesmith.tasks.targets import label_index, label_names, labels_of
from tunesmith.tasks.task import Batch, Example, Loss, Scored, Task, TaskInputs
from tunesmith.tasks.text.sequence_classification import score_classes


@dataclass(frozen=True, slots=True)
class ImageClassification(Task):
    """The task ``image-classification``; ``processor`` is a transformers image processor."""

    processor: Any
    labels: tuple[str, ...]
    batch_size: int = 64
    class_loss: ClassLoss = PLAIN

    @classmethod
    def build(cls, inputs: TaskInputs) -> Self:
        """With the classes of the training rows, or those of a finished model."""
        labels = label_names(labels_of(inputs.rows)) if inputs.labels is None else inputs.labels
        loss = class_loss(inputs, labels, labels_of(inputs.rows))
        return cls(inputs.processor, labels, inputs.recipe.eval.batch_size, loss)

    def class_names(self) -> tuple[str, ...]:
        """Classes in the order of the logits."""
        return self.labels

    def fingerprint(self) -> Mapping[str, Any]:
        """Classes."""
        return {"labels": self.labels}

    def show(self, example: Example) -> list[tuple[str, bool]]:
        """The size of the picture, and its class."""
        return [(f"image {example['pixel_values'].shape}", False), (str(example["reference"]), True)]

    def evaluated_length(self, example: Example) -> int:
        """Larger pictures are fewer in a pass."""
        return picture_length(*example["pixel_values"].shape[-2:])

    def encode(self, row: Row) -> Example | Skip:
        """Pixels [C, H, W] as the processor makes them, and the label's index."""
        index = label_index(str(row.fields["label"]), self.labels, row.id)
        try:
            picture = open_picture(row.fields["image"])
        except (ValueError, MemoryError) as error:
            named = isinstance(row.fields["image"], str)
            which = f"`{row.fields['image']}` is not an image" if named else "not an image"
            return Skip(row.id, "malformed", f"{which}: {error or 'it needs more memory than there is'}")
        pixels = pixels_of(self.processor, picture.image)
        shown = row.fields["image"] if isinstance(row.fields["image"], str) else row.id
        answer = {"label": index, "reference": self.labels[index], "count": 1}
        example = {"id": row.id, "input": str(shown), **answer, "length": 1, "pixel_values": pixels}
        return {**example, **({"notes": picture.notes} if picture.notes else {})}

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pixels [B, C, H, W], labels [B]."""
        labels = torch.tensor([example["label"] for example in examples])
        return Batch(
            {**pixel_batch([one["pixel_values"] for one in examples]), "labels": labels}, len(examples)
        )

    def loss(self, model: Any, batch: Batch) -> Loss:
        """Cross-entropy in nats, weighed as the recipe says, summed over images."""
        logits = model(pixel_values=batch["pixel_values"]).logits
        return Loss(self.class_loss.total(logits.float(), batch["labels"]))

    def score(
        self, model: Any, examples: Sequence[Example], predict: bool, only_equal: Container[str] = ()
    ) -> list[Scored]:
        """Loss and most likely label of each image."""
        lengths = [self.evaluated_length(example) for example in examples]
        scored: list[Scored] = score_classes(self, model, examples, lengths)
        return scored


def pixels_of(processor: Any, image: Any) -> Any:
    """What an image processor makes of an image, an array [C, H, W]."""
    return processor(image, return_tensors="np")["pixel_values"][0]


def pixel_batch(pixels: Sequence[Any]) -> dict[str, torch.Tensor]:
    """Images of one size as the model takes them."""
    return {"pixel_values": torch.from_numpy(np.stack(pixels)).float()}


def open_image(value: Any) -> Any:
    """An upright RGB image from a path, bytes, ``{bytes, path}``, an array or a PIL image.

    Raises:
        ValueError: it is none, or damaged, or too large; see ``open_picture``.
    """
    return open_picture(value).image
