"""A task of the user's own, from a file beside the recipe; nothing here imports it."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ConfigDict
from pydantic import Field as Constraint

from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.tasks.spec import Feature, TaskSettings, TaskSpec


class OwnTask(TaskSettings):
    """A task of your own, ``python:MODULE:CLASS``; its further keys are what the class says."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: str = Constraint(pattern=r"^python:[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


_EVERYTHING: frozenset[Feature] = frozenset(
    ("chat_template", "generate", "harness", "loss_on", "packing", "positions")
)
UNREAD = TaskSpec(
    settings=OwnTask,
    summary="a task of your own",
    auto_model="",
    inputs=(),
    output="tokens",
    metrics=(),
    measured=(),
    accepts=_EVERYTHING,
    starter="",
    pipeline="",
)
"""What is known of a task whose file has not been imported."""


def own_parts(name: str) -> tuple[str, str]:
    """Module and class of ``python:MODULE:CLASS``."""
    module, _, attribute = name.removeprefix(USER_PREFIX).partition(":")
    return module, attribute


def own_task_class(name: str) -> Any:
    """The class that a name means, if its file has been imported; else ``None``."""
    module, attribute = own_parts(name)
    return getattr(sys.modules.get(module), attribute, None)


def own_spec(name: str) -> TaskSpec:
    """What a user's task declares, ``UNREAD`` before its file has been imported."""
    found = getattr(own_task_class(name), "spec", None)
    return found if isinstance(found, TaskSpec) else UNREAD
