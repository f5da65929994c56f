"""The tasks by name, and how a recipe names one: a word, or a mapping with ``name`` and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic import Field as Constraint

from tunesmith.recipe.tasks.language import CAUSAL_LM, CausalLMSettings
from tunesmith.recipe.tasks.spec import Feature, TaskSettings, TaskSpec
from tunesmith.recipe.tasks.text import (
    REGRESSION,
    SEQUENCE_CLASSIFICATION,
    RegressionSettings,
    SequenceClassificationSettings,
)
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION, ImageClassificationSettings
from tunesmith.suggest import any_of

TASKS: Mapping[str, TaskSpec] = {
    spec.name: spec for spec in (CAUSAL_LM, SEQUENCE_CLASSIFICATION, REGRESSION, IMAGE_CLASSIFICATION)
}
"""Every task by its name, in the order in which they are told."""


def as_mapping(value: Any) -> Any:
    """A task's name as the mapping that it stands for: ``regression`` is ``{name: regression}``."""
    return {"name": value} if isinstance(value, str) else value


TaskSection = Annotated[
    CausalLMSettings | SequenceClassificationSettings | RegressionSettings | ImageClassificationSettings,
    Constraint(discriminator="name"),
    BeforeValidator(as_mapping),
]
"""What may stand under ``task``."""


def spec_of(task: TaskSettings) -> TaskSpec:
    """What the task of a recipe declares."""
    return TASKS[task.name]


def tasks_with(feature: Feature, task: TaskSettings) -> str:
    """The tasks to which a part of the recipe means something, in words; empty if this is one of them."""
    if feature in spec_of(task).accepts:
        return ""
    return any_of([name for name, spec in TASKS.items() if feature in spec.accepts])
