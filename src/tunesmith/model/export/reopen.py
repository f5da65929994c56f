"""A finished model opened again from its folder, with plain transformers, or peft if it is an adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.model.check.folder import refuse_odd_folder
from tunesmith.model.check.kernels import fetch_no_kernels, without_kernels
from tunesmith.model.check.pickles import refuse_pickled, without_pickles
from tunesmith.recipe.tasks.spec import TaskSpec

SAFELY = {"use_safetensors": True, "trust_remote_code": False}
"""A run directory may come from a stranger: nothing in it is executed."""


def reopen(folder: Path, task: TaskSpec) -> Any:
    """The model in a folder, in the number type that it was stored in, on the CPU.

    Args:
        folder: ``model/`` of a run.
        task: that it was tuned for.

    Raises:
        UserError: if something in the folder must not be opened. What else is wrong with it is told by the
            libraries' own errors.
    """
    import transformers

    fetch_no_kernels()
    refuse_odd_folder(folder, str(folder))
    refuse_pickled(folder, str(folder))
    auto = getattr(transformers, task.auto_model)
    with without_pickles():
        if (folder / "adapter_config.json").is_file():
            return _adapted(folder, auto, task)
        return _plain(auto, str(folder), local_files_only=True)


def _plain(auto: Any, name: str, **options: Any) -> Any:
    from transformers import AutoConfig

    known = {key: options[key] for key in ("local_files_only",) if key in options}
    config = without_kernels(AutoConfig.from_pretrained(name, trust_remote_code=False, **known), name)
    # A configuration that is handed over takes no further settings from the call.
    for key in ("num_labels", "id2label", "problem_type"):
        if key in options:
            setattr(config, key, options.pop(key))
    return auto.from_pretrained(name, config=config, dtype="auto", **options, **SAFELY)


def _adapted(folder: Path, auto: Any, task: TaskSpec) -> Any:
    """An adapter on the base that it names; a head for classes is as wide as the classes in its folder."""
    from peft import PeftConfig, PeftModel

    base = str(PeftConfig.from_pretrained(folder).base_model_name_or_path)
    if Path(base).is_dir():
        refuse_odd_folder(Path(base), base)
    number = task.output == "number"
    options: dict[str, Any] = {"num_labels": 1, "problem_type": "regression"} if number else {}
    names = _labels(folder / "config.json")
    if names and task.output in ("classes", "tags"):
        options = {"num_labels": len(names), "id2label": names}
    return PeftModel.from_pretrained(_plain(auto, base, **options), str(folder))


def _labels(path: Path) -> dict[int, str]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["id2label"]
        return {int(index): str(name) for index, name in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # a language model's adapter has none
