"""Tasks that read a text and give a class or a number."""

from __future__ import annotations

from typing import Literal

from tunesmith.metrics.table import METRICS
from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec

CLASS_METRICS = ("accuracy", "macro_f1")
"""Metrics over classes that come with every evaluation."""
_USUAL = ("loss", *CLASS_METRICS, "ece", "brier")
_MORE = [name for name, metric in METRICS.items() if metric.needs in ("label", "values")]
OVER_CLASSES = tuple(dict.fromkeys((*_USUAL, *_MORE)))
"""All metrics over classes, the usual ones first."""


class SequenceClassificationSettings(TaskSettings):
    """One class for a text."""

    name: Literal["sequence-classification"] = "sequence-classification"


class RegressionSettings(TaskSettings):
    """One number for a text."""

    name: Literal["regression"] = "regression"


SEQUENCE_CLASSIFICATION = TaskSpec(
    settings=SequenceClassificationSettings,
    summary="one class for a text",
    code="tunesmith.tasks.text.sequence_classification:SequenceClassification",
    auto_model="AutoModelForSequenceClassification",
    inputs=(Field("text", "text"),),
    targets=(Field("label", "label", "class"),),
    output="classes",
    metrics=OVER_CLASSES,
    measured=CLASS_METRICS,
    starter="bert_classification",
    pipeline="text-classification",
    encoder=True,
    peft="SEQ_CLS",
    endings=("ForSequenceClassification",),
    aliases=("seq_cls", "text-classification", "classification"),
)

REGRESSION = TaskSpec(
    settings=RegressionSettings,
    summary="one number for a text",
    code="tunesmith.tasks.text.regression:Regression",
    auto_model="AutoModelForSequenceClassification",
    inputs=(Field("text", "text"),),
    targets=(Field("target", "number", "number"),),
    output="number",
    metrics=("loss", "mse", "pearson"),
    measured=("pearson", "mse"),
    aliases=("text-regression",),
    starter="bert_regression",
    pipeline="text-classification",
    encoder=True,
    peft="SEQ_CLS",
)
