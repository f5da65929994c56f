"""The tasks by name, and how a recipe names one: a word, or a mapping with ``name`` and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag

from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.tasks.language import CAUSAL_LM, CausalLMSettings
from tunesmith.recipe.tasks.own import OwnTask, own_spec
from tunesmith.recipe.tasks.spec import Feature, TaskSettings, TaskSpec
from tunesmith.recipe.tasks.tags import TOKEN_CLASSIFICATION, TokenClassificationSettings
from tunesmith.recipe.tasks.text import (
    MASKED_LM,
    REGRESSION,
    SEQUENCE_CLASSIFICATION,
    MaskedLMSettings,
    RegressionSettings,
    SequenceClassificationSettings,
)
from tunesmith.recipe.tasks.vectors import EMBEDDING, EmbeddingSettings
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION, ImageClassificationSettings
from tunesmith.suggest import any_of

TASKS: Mapping[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        CAUSAL_LM,
        SEQUENCE_CLASSIFICATION,
        REGRESSION,
        TOKEN_CLASSIFICATION,
        EMBEDDING,
        MASKED_LM,
        IMAGE_CLASSIFICATION,
    )
}
"""Every task by its name, in the order in which they are told."""


def as_mapping(value: Any) -> Any:
    """A task's name as the mapping that it stands for: ``regression`` is ``{name: regression}``."""
    return {"name": value} if isinstance(value, str) else value


def _kind_of(value: Any) -> str:
    """By which the union is told apart: the task's name, or that it is the user's own."""
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return USER_PREFIX if str(name).startswith(USER_PREFIX) else str(name)


TaskSection = Annotated[
    Annotated[CausalLMSettings, Tag("causal-lm")]
    | Annotated[SequenceClassificationSettings, Tag("sequence-classification")]
    | Annotated[RegressionSettings, Tag("regression")]
    | Annotated[TokenClassificationSettings, Tag("token-classification")]
    | Annotated[EmbeddingSettings, Tag("embedding")]
    | Annotated[MaskedLMSettings, Tag("masked-lm")]
    | Annotated[ImageClassificationSettings, Tag("image-classification")]
    | Annotated[OwnTask, Tag(USER_PREFIX)],
    Discriminator(_kind_of),
    BeforeValidator(as_mapping),
]
"""What may stand under ``task``."""


def spec_of(task: TaskSettings) -> TaskSpec:
    """What the task of a recipe declares; nothing yet for one of the user's own that is not imported."""
    return own_spec(task.name) if task.name.startswith(USER_PREFIX) else TASKS[task.name]


def tasks_with(feature: Feature, task: TaskSettings) -> str:
    """The tasks to which a part of the recipe means something, in words; empty if this is one of them."""
    if feature in spec_of(task).accepts:
        return ""
    return any_of([name for name, spec in TASKS.items() if feature in spec.accepts])
