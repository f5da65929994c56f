"""Tasks that give each word of a text a tag."""

from __future__ import annotations

from typing import Literal

import pydantic

from tunesmith.metrics.families import tags
from tunesmith.recipe.section import Whole
from tunesmith.recipe.tasks.classes import ClassSettings
from tunesmith.recipe.tasks.spec import Field, RowSchema, TaskSpec


class TokenClassificationSettings(ClassSettings):
    """A tag for each word: parts of speech, or names and other places in a text."""

    name: Literal["token-classification"] = "token-classification"
    overlap: Whole = pydantic.Field(
        default=32, ge=0, description="Tokens that the windows of a text above `data.max_length` share."
    )


TOKEN_CLASSIFICATION = TaskSpec(
    settings=TokenClassificationSettings,
    summary="a tag for each word: parts of speech, names, places in a text",
    code="tunesmith.tasks.text.token_classification:TokenClassification",
    auto_model="AutoModelForTokenClassification",
    inputs=(Field("tokens", "sequence", "words"),),
    targets=(Field("tags", "sequence", "tag of each word"),),
    otherwise=RowSchema((Field("text", "text"),), (Field("spans", "spans", "marked places"),)),
    output="tags",
    metrics=("loss", "token_accuracy", *(metric.name for metric in tags.METRICS)),
    measured=("token_accuracy",),
    starter="bert_tags",
    pipeline="token-classification",
    encoder=True,
    peft="TOKEN_CLS",
    endings=("ForTokenClassification",),
    aliases=("ner", "pos", "tagging", "token_cls"),
)
