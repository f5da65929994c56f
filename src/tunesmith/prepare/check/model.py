"""What a model's configuration shows to be wrong with a recipe: the task, lengths, targets. No weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.model.check.task_fit import refuse_misfit
from tunesmith.model.param_shapes import param_shapes_of
from tunesmith.model.tune.select import is_head
from tunesmith.plan.cost.lora_shapes import all_match, tuned_weights
from tunesmith.prepare.base_model import is_recipe, on_base_model
from tunesmith.prepare.check.rows import not_at_hand
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.sources.resolve import resolve


def check_model(recipe: Recipe) -> tuple[list[UserError], list[str]]:
    """Look at the configuration of the model, if it is on this machine.

    Returns:
        What a run would refuse of it, and what was not looked at, with the reason.
    """
    source = recipe.model.source
    try:
        if source is not None and is_recipe(source):
            load_recipe(Path(source))  # its own mistakes would end this run too
            try:
                recipe = on_base_model(recipe)
            except UserError:
                return [], [f"`{source}` has not been run yet"]
        reason = not_at_hand(str(recipe.model.source)) if recipe.model.source is not None else ""
        if reason:
            return [], [f"`{recipe.model.source}` {reason}"]
        _refuse(recipe)
    except UserError as problem:
        place = "tune.lora.targets" if recipe.tune.lora is not None else "tune.layers"
        return [problem if problem.where else replace(problem, where=place)], []
    return [], []


def _refuse(recipe: Recipe) -> None:
    task = spec_of(recipe.task)
    values = _values(recipe.model)
    if values is None:
        _refuse_slowly(recipe)
        return
    where = "model.source" if recipe.model.new is None else "model.new"
    refuse_misfit(values, task, where)
    refuse_too_long(recipe, values)
    if not _chooses(recipe):
        return
    labels = {"num_labels": 1 if task.output == "number" else 2}
    shapes = param_shapes_of({**values, **labels}, task)
    if shapes is None:
        _refuse_slowly(recipe)
        return
    named = dict(shapes)
    fresh = [name for name in named if task.output != "tokens" and is_head(name)]
    try:
        tuned_weights(named, recipe.tune, fresh, transposed=values.get("model_type") == "gpt2")
        doubtful = not all_match(named, recipe.tune)
    except UserError:
        doubtful = True
    if doubtful:
        _refuse_slowly(recipe)  # a run may know better, and its words are those that count


def _chooses(recipe: Recipe) -> bool:
    """Whether the recipe names layers or modules, so that it can name some that are not there."""
    tune = recipe.tune
    return tune.lora is not None or tune.layers not in (None, "all")


def refuse_too_long(recipe: Recipe, values: Mapping[str, Any]) -> None:
    """Make sure that the model has as many positions as ``data.max_length`` asks for."""
    wanted = recipe.data.max_length
    for name in ("max_position_embeddings", "n_positions"):
        positions = values.get(name)
        if isinstance(positions, int) and wanted is not None and 0 < positions < wanted:
            raise UserError(
                f"`data.max_length: {wanted}` is more than the {positions} positions of this model",
                "data.max_length",
                f"set it to {positions} or less, or choose a model with a longer context",
            )


def _values(model: Model) -> dict[str, Any] | None:
    """The configuration where it is a file or stands in the recipe; ``None`` where libraries must read it."""
    if model.new is not None:
        return dict(model.new)
    assert model.source is not None
    found = resolve(
        model.source, revision=model.revision, sha256=model.sha256, kind="model", where="model.source"
    )
    if not isinstance(found, Path):
        return None
    if found.suffix == ".gguf":
        from tunesmith.model.gguf import config_location
        from tunesmith.model.location import locate

        found = Path(config_location(locate(model.source, model)).name)
    elif not any(found.glob("*.safetensors")):
        what = "holds no weights in the format safetensors" if found.is_dir() else "is no model's folder"
        hint = "safetensors and GGUF are read: name the folder that `save_pretrained` wrote, or a .gguf file"
        raise UserError(f"`{model.source}` {what}", "model.source", hint)
    path = found / "config.json"
    if not path.is_file():
        there = "an adapter" if (found / "adapter_config.json").is_file() else "no config.json"
        hint = "name the folder of a whole model; an adapter's own base is named in its adapter_config.json"
        raise UserError(f"`{model.source}` is no model's folder: it holds {there}", "model.source", hint)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"its config.json cannot be read: {error}", "model.source", "copy the model again"
        ) from None
    return values if isinstance(values, dict) else None


def _refuse_slowly(recipe: Recipe) -> None:
    """Build the model without its weights, as a run would, and choose what learns of it."""
    import torch

    from tunesmith.model.load import Head, load_config, load_outline
    from tunesmith.model.positions import positions_of
    from tunesmith.model.tune.apply import apply_tune
    from tunesmith.prepare.hardware import silence_libraries

    silence_libraries()
    task = spec_of(recipe.task)
    head = Head(task, ("0", "1") if task.output in ("classes", "tags") else ())
    size = None
    if recipe.model.tokenizer is not None and recipe.model.tokenizer.train is not None:
        size = recipe.model.tokenizer.train.vocab_size
    config = load_config(recipe.model, head, size)
    positions = positions_of(config)
    if positions is not None:
        refuse_too_long(recipe, {"n_positions": positions})
    if recipe.model.trust_remote_code:
        return
    model, fresh = load_outline(recipe.model, head, config)
    apply_tune(model, recipe.tune, task=task, fresh=fresh, dtype=torch.float32)
