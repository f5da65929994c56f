"""A task's code, found by its declaration and made for a recipe."""

from __future__ import annotations

from importlib import import_module

from tunesmith.recipe.tasks.spec import TaskSpec
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.tasks.task import Task, TaskInputs


def task_class(spec: TaskSpec) -> type[Task]:
    """The class that a declaration names."""
    module, _, name = spec.code.partition(":")
    found: type[Task] = getattr(import_module(module), name)
    return found


def build_task(inputs: TaskInputs) -> Task:
    """The task that a recipe names, ready to encode rows."""
    return task_class(spec_of(inputs.recipe.task)).build(inputs)
