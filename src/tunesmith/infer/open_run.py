"""Open what a run made: the folder ``model/``, with plain transformers, or peft if it is an adapter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunesmith.checkpoint.plain_file import read_plain
from tunesmith.errors import UserError
from tunesmith.infer.folder import bare_recipe, is_model_folder
from tunesmith.metrics.names import USER_PREFIX
from tunesmith.recipe.check.coerce import fit
from tunesmith.recipe.finding import RecipeTrouble, to_error
from tunesmith.recipe.read import read_tree
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.spec import TaskSpec
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.recipe.yaml.nodes import node_to_plain
from tunesmith.tasks.own import with_own_task


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A finished model, ready to answer.

    Attributes:
        run_dir: the run it comes from.
        recipe: the recipe of that run.
        model: in evaluation mode, on the best device there is.
        tokenizer: for tasks on text, else ``None``.
        processor: the image processor for tasks on images, else ``None``.
    """

    run_dir: Path
    recipe: Recipe
    model: Any
    tokenizer: Any | None
    processor: Any | None

    def labels(self) -> list[str]:
        """Class names in the order of the logits."""
        names = self.model.config.id2label
        return [str(names[index]) for index in sorted(names)]

    @property
    def templated(self) -> bool:
        """Whether conversations go through a chat template, or are joined as they are."""
        has_one = self.tokenizer is not None and bool(self.tokenizer.chat_template)
        return has_one and self.recipe.model.chat_template != "none"

    def positions(self) -> int | None:
        """Longest sequence that the model can see, if it has a limit."""
        from tunesmith.model.positions import positions_of

        return positions_of(self.model.config)


def read_recipe(run_dir: Path) -> Recipe:
    """The recipe of a run, as the run resolved it. Its data need not be there any more.

    Raises:
        UserError: if the folder is no run directory, or its recipe is not one.
    """
    path = run_dir / "recipe.yaml"
    if not path.is_file():
        raise UserError(
            f"`{run_dir}` is not a run directory: there is no recipe.yaml in it",
            hint="give the folder that `run.dir` names, by default `runs/<recipe name>`, or one with a model",
        )
    try:
        return Recipe.model_validate(node_to_plain(fit(Recipe, read_tree(path))))
    except RecipeTrouble as trouble:
        raise to_error(trouble.findings) from None
    except ValidationError as error:
        raise UserError(
            f"the run's recipe is not one: {str(error).splitlines()[0]}",
            str(path),
            "it was changed by hand, or written by another version of tunesmith",
        ) from error


def find_model(path: Path, task: str | None = None) -> tuple[Recipe, Path]:
    """The recipe and the model's folder of a run, or of any folder with a model.

    Args:
        path: a run directory, its ``model/``, or a folder as ``save_pretrained`` writes it.
        task: of a model that no run made, where its configuration does not tell.

    Raises:
        UserError: if there is neither a run nor a model, or the run has no finished model.
    """
    if not (path / "recipe.yaml").is_file() and is_model_folder(path):
        above = path.resolve().parent
        if task is None and path.resolve().name in ("model", "adapter") and (above / "recipe.yaml").is_file():
            return _with_code(read_recipe(above), task), path
        return bare_recipe(path, task), path
    recipe, folder = _with_code(read_recipe(path), task), path / "model"
    if not any(folder.glob("*config.json")):
        raise _no_model(path)
    return recipe, folder


def open_run(run_dir: Path, task_name: str | None = None) -> LoadedRun:
    """Open the model of a run, or of any folder with a model.

    Raises:
        UserError: if there is neither, or the run has no finished model; the message says why.
    """
    recipe, folder = find_model(run_dir, task_name)
    task = spec_of(recipe.task)
    on_images = task.processor == "image"
    model = _load_model(folder, task)
    return LoadedRun(
        run_dir=run_dir,
        recipe=recipe,
        model=model.to(_device()).eval(),
        tokenizer=None if on_images else _load_tokenizer(folder),
        processor=_load_processor(folder) if on_images else None,
    )


def _with_code(recipe: Recipe, task_name: str | None) -> Recipe:
    """The recipe, its own task's file imported; a run directory alone makes nothing run."""
    name = recipe.task.name
    if not name.startswith(USER_PREFIX):
        return recipe
    if task_name != name:
        raise UserError(
            f"the run's task is code of its own, `{name}`, which is not run unasked",
            hint=f"in the folder where its file lies, add `--task {name}`",
        )
    return with_own_task(recipe, Path.cwd())


def _no_model(run_dir: Path) -> UserError:
    """Why there is no model, as far as the run's own files tell."""
    what = f"the run `{run_dir}` has no finished model (`model/`)"
    if (names := _variants(run_dir)) is not None:
        return UserError(
            f"{what}: it compares variants, each a run of its own", hint=f"choose one of: {names}"
        )
    result = _json(run_dir / "result.json")
    if not isinstance(result, dict):
        hint = "let it finish; if it was cut off, run the same command again and it goes on"
        return UserError(f"{what}: it is still going, or was cut off", hint=hint)
    status, stop = result.get("status"), result.get("stop")
    if status == "preempted":
        return UserError(f"{what}: it was interrupted", hint="run the same command again and it goes on")
    if status == "failed":
        reason = result.get("error") or (stop.get("reason") if isinstance(stop, dict) else None)
        return UserError(f"{what}: it failed" + (f": {reason}" if reason else ""), hint="see its report.html")
    hint = "the folder was moved or deleted; restore it, or run the recipe again with `--fresh`"
    return UserError(f"{what}, although it finished", hint=hint)


def _variants(run_dir: Path) -> str | None:
    found = _json(run_dir / "variants.json")
    rows = found.get("variants") if isinstance(found, dict) else None
    return ", ".join(f"`{row.get('dir')}`" for row in rows if isinstance(row, dict)) if rows else None


def _json(path: Path) -> Any:
    try:
        return json.loads(read_plain(path))
    except (OSError, ValueError, RecursionError):
        return None  # an absent or broken file only makes the message less precise


def _load_model(folder: Path, task: TaskSpec) -> Any:
    from transformers.utils import logging

    from tunesmith.model.export.reopen import reopen

    logging.disable_progress_bar()  # loading takes a moment, and its bar would stand between the answers
    try:
        return reopen(folder, task)
    except UserError:
        raise
    except Exception as error:  # whatever libraries make of broken files: their errors have no common base
        first = next(iter(str(error).splitlines()), type(error).__name__)
        hint = "if the folder was copied, see that every file came along"
        raise UserError(f"the model cannot be opened: {first[:300]}", str(folder), hint) from error


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load_processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    options = {"use_fast": False, "local_files_only": True, "trust_remote_code": False}
    return AutoImageProcessor.from_pretrained(folder, **options)


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
