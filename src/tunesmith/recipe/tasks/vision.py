"""Tasks that see images."""

from __future__ import annotations

from typing import Literal

from tunesmith.recipe.tasks.classes import CLASS_METRICS, OVER_CLASSES, ClassSettings
from tunesmith.recipe.tasks.spec import Field, TaskSpec


class ImageClassificationSettings(ClassSettings):
    """One class for an image."""

    name: Literal["image-classification"] = "image-classification"


IMAGE_CLASSIFICATION = TaskSpec(
    settings=ImageClassificationSettings,
    summary="one class for an image",
    code="tunesmith.tasks.image_classification:ImageClassification",
    auto_model="AutoModelForImageClassification",
    inputs=(Field("image", "image"),),
    targets=(Field("label", "label", "class"),),
    output="classes",
    metrics=OVER_CLASSES,
    measured=CLASS_METRICS,
    starter="resnet_digits",
    pipeline="image-classification",
    processor="image",
    endings=("ForImageClassification",),
    aliases=("vision",),
    usual_evaluation="1 epoch",
)
