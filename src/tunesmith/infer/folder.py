"""A model's folder that no run made: its task, read off its configuration, and a recipe to open it by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.spec import TaskSpec
from tunesmith.recipe.tasks.table import TASKS


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a model or an adapter as ``save_pretrained`` writes them."""
    return any((path / name).is_file() for name in ("config.json", "adapter_config.json"))


def bare_recipe(folder: Path, task: str | None) -> Recipe:
    """What is known of a model without a run: its task and where it is; everything else is a default.

    Args:
        folder: with ``config.json`` or ``adapter_config.json``.
        task: of the model; ``None``: as its configuration says.

    Raises:
        UserError: the configuration does not tell, or the task is none.
    """
    if task is not None and task not in TASKS:
        raise UserError(f"there is no task `{task}`", hint=f"the tasks are {', '.join(TASKS)}")
    told = task or _task_of(folder)
    if told is None:
        raise UserError(
            "its configuration does not say what the model is for",
            str(folder),
            f"add `--task`: {', '.join(TASKS)}",
        )
    return Recipe.model_validate(
        {
            "task": told,
            "model": {"source": str(folder)},
            "data": {"train": [{"source": str(folder)}]},
            "optimizer": {"learning_rate": 1e-4},
            "batch": {"size": 1},
            "run": {"dir": str(folder)},
        }
    )


def _task_of(folder: Path) -> str | None:
    config, adapter = (_read(folder / name) for name in ("config.json", "adapter_config.json"))
    names = config.get("architectures")
    for name in names if isinstance(names, list) else ():
        found = next((spec for spec in TASKS.values() if str(name).endswith(spec.endings or " ")), None)
        if found is not None:
            return (_with_number(found) if _is_regression(config) else found).name
    kind = adapter.get("task_type")
    return next((spec.name for spec in TASKS.values() if kind is not None and spec.peft == kind), None)


def _with_number(task: TaskSpec) -> TaskSpec:
    """The task that has a number where this one has classes, of models of the same class."""
    same = [spec for spec in TASKS.values() if spec.auto_model == task.auto_model]
    return next((spec for spec in same if spec.output == "number"), task)


def _is_regression(config: Mapping[str, Any]) -> bool:
    labels = config.get("id2label")
    single = config.get("num_labels") == 1 or (isinstance(labels, dict) and len(labels) == 1)
    return config.get("problem_type") == "regression" or single


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
