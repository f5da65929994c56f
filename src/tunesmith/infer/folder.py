"""A model's folder that no run made: its task, read off its configuration, and a recipe to open it by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.names import NEEDS

_ADAPTER_TASKS = {"CAUSAL_LM": "causal-lm", "SEQ_CLS": "sequence-classification"}
_ENDINGS = {
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
    "ForSequenceClassification": "sequence-classification",
    "ForImageClassification": "image-classification",
}


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
    if task is not None and task not in NEEDS:
        raise UserError(f"there is no task `{task}`", hint=f"the tasks are {', '.join(NEEDS)}")
    told = task or _task_of(folder)
    if told is None:
        raise UserError(
            "its configuration does not say what the model is for",
            str(folder),
            f"add `--task`: {', '.join(NEEDS)}",
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
        for ending, task in _ENDINGS.items():
            if str(name).endswith(ending):
                return "regression" if _is_regression(config, task) else task
    return _ADAPTER_TASKS.get(str(adapter.get("task_type")))


def _is_regression(config: Mapping[str, Any], task: str) -> bool:
    labels = config.get("id2label")
    single = config.get("num_labels") == 1 or (isinstance(labels, dict) and len(labels) == 1)
    return task == "sequence-classification" and (config.get("problem_type") == "regression" or single)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
