"""A task's code, found by its declaration and made for a recipe."""

from __future__ import annotations

from importlib import import_module

from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.tasks.own import own_task_class
from tunesmith.recipe.tasks.spec import TaskSettings
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.tasks.task import Task, TaskInputs


def task_class(task: TaskSettings) -> type[Task]:
    """The class that a recipe's task means; one of the user's own has been imported by ``own.py``."""
    if task.name.startswith(USER_PREFIX):
        own: type[Task] = own_task_class(task.name)
        return own
    module, _, name = spec_of(task).code.partition(":")
    found: type[Task] = getattr(import_module(module), name)
    return found


def build_task(inputs: TaskInputs) -> Task:
    """The task that a recipe names, ready to encode rows."""
    return task_class(inputs.recipe.task).build(inputs)
