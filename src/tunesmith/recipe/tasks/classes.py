"""What tasks with one class a row share: settings of how classes and rows are weighed, and metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.metrics.table import METRICS
from tunesmith.recipe.section import Number
from tunesmith.recipe.tasks.spec import TaskSettings

CLASS_METRICS = ("accuracy", "macro_f1")
"""Metrics over classes that come with every evaluation."""
_USUAL = ("loss", *CLASS_METRICS, "ece", "brier")
_MORE = [name for name, metric in METRICS.items() if metric.needs in ("label", "values")]
OVER_CLASSES = tuple(dict.fromkeys((*_USUAL, *_MORE)))
"""All metrics over classes, the usual ones first."""

Weight = Annotated[Number, Field(gt=0)]


class ClassSettings(TaskSettings):
    """How much each row of a classification counts while it is learnt; evaluations weigh all alike."""

    class_weights: Literal["balanced"] | dict[str, Weight] | None = Field(
        default=None,
        description="`balanced`: rare classes count as much as common ones; or weights by class.",
        examples=[{"spam": 3.0}],
    )
    label_smoothing: Number = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the target that is spread over all classes.",
        examples=[0.1],
    )
    focal: Number = Field(
        default=0.0,
        ge=0,
        le=10,
        description="γ of the focal loss: rows that are right already count less.",
        examples=[2.0],
    )
