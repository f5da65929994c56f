"""Tasks that read a text and give a class, a number, or the words that are hidden in it."""

from __future__ import annotations

from typing import Literal

import pydantic

from tunesmith.recipe.section import Flag, Number
from tunesmith.recipe.tasks.classes import CLASS_METRICS, OVER_CLASSES, ClassSettings
from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec


class SequenceClassificationSettings(ClassSettings):
    """One class for a text."""

    name: Literal["sequence-classification"] = "sequence-classification"


class RegressionSettings(TaskSettings):
    """One number for a text."""

    name: Literal["regression"] = "regression"
    loss: Literal["squared", "huber"] = pydantic.Field(
        default="squared", description="`huber`: large errors count by their size, not by its square."
    )
    huber_delta: Number = pydantic.Field(
        default=1.0, gt=0, description="From where on, in standard deviations of the targets."
    )


class MaskedLMSettings(TaskSettings):
    """Words hidden in a text, to be found again."""

    name: Literal["masked-lm"] = "masked-lm"
    mask_share: Number = pydantic.Field(
        default=0.15, gt=0, lt=1, description="Of the tokens: how many are hidden in each step."
    )
    whole_words: Flag = pydantic.Field(default=True, description="Hide all tokens of a word, or none.")


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

MASKED_LM = TaskSpec(
    settings=MaskedLMSettings,
    summary="words hidden in a text, to be found again: pretraining of encoders gone on with",
    code="tunesmith.tasks.text.masked_lm:MaskedLM",
    auto_model="AutoModelForMaskedLM",
    inputs=(Field("text", "text"),),
    output="hidden",
    metrics=("loss", "perplexity", "token_accuracy"),
    measured=("perplexity", "token_accuracy"),
    starter="bert_masked",
    pipeline="fill-mask",
    encoder=True,
    endings=("ForMaskedLM",),
    aliases=("mlm", "fill-mask"),
)
