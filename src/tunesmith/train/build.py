"""Parts and a place to a ``Setup``: load the model, choose what learns, divide the batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tunesmith.data.mixture import mixed_step
from tunesmith.errors import UserError
from tunesmith.judge.budget import step_limit, total_steps
from tunesmith.model.export import output_layer
from tunesmith.model.load import load_model, load_outline, set_padding
from tunesmith.model.precision import choose_dtype
from tunesmith.model.tune import Tuned, apply_tune, needs_autocast
from tunesmith.plan.arithmetic import Arithmetic, grouped
from tunesmith.plan.division import Division, divide
from tunesmith.recipe.schema import Recipe
from tunesmith.tasks.regression import Regression
from tunesmith.tasks.task import Task
from tunesmith.train.accelerator import Place, seed_everything
from tunesmith.train.optimizer import make_optimizer
from tunesmith.train.parts import Parts
from tunesmith.train.schedule import warmup_steps
from tunesmith.train.setup import Setup


def build(parts: Parts, place: Place, run_dir: Path, recipe_hash: str) -> Setup:
    """Everything that the loop needs, on its device."""
    recipe, accelerator = parts.recipe, place.accelerator
    dtype = dtype_of(parts, place)
    # Every process must begin with the same weights, also where they are made up.
    seed_everything(recipe.run.seed, 0)
    loaded = torch.float32 if recipe.tune.lora is None else dtype
    model, fresh = load_model(recipe.model, parts.head, parts.config, loaded)
    set_padding(model.config, parts.head, parts.processor)
    task = fit_task(parts.task, model)
    tuned = apply_tune(model, recipe.tune, auto_model=parts.head.auto_model, fresh=fresh, dtype=dtype)
    model = tuned.model
    if recipe.batch.checkpointing:
        recompute_activations(model)
    autocast = dtype if needs_autocast(model, dtype) else None
    keep_frozen_statistics(model)
    optimizer = make_optimizer(model, recipe.optimizer)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    seed_everything(recipe.run.seed, place.world.rank)
    return Setup(
        recipe=recipe,
        recipe_hash=recipe_hash,
        run_dir=run_dir,
        accelerator=accelerator,
        model=prepared,
        bare=model,
        optimizer=optimizer,
        task=task,
        train=parts.train,
        eval=parts.eval,
        samples_of=partial(mixed_step_of, parts=parts),
        division=division_of(parts, accelerator.num_processes),
        total_steps=steps_of(parts),
        metrics=metrics_of(recipe, task),
        autocast=autocast,
    )


def mixed_step_of(step: int, parts: Parts) -> list[int]:
    """Indices of the training examples of one step."""
    return mixed_step(parts.mixture, step, parts.recipe.batch.size, parts.recipe.run.seed)


def dtype_of(parts: Parts, place: Place) -> torch.dtype:
    """Type of the arithmetic and of frozen weights."""
    return choose_dtype(parts.recipe.model.dtype, place.profile, place.accelerator.device)


def division_of(parts: Parts, processes: int) -> Division:
    """The global batch, divided."""
    typical = sum(example["length"] for example in parts.train) / len(parts.train)
    batch = parts.recipe.batch
    return divide(batch.size, batch.micro, processes, typical_tokens=typical)


def steps_of(parts: Parts) -> int | None:
    """Steps at most; a schedule that decays needs a number."""
    limit = step_limit if parts.recipe.optimizer.schedule == "constant" else total_steps
    mean = sum(example["length"] for example in parts.train) / len(parts.train)
    return limit(
        parts.recipe.stop,
        examples=parts.mixture.size,
        batch_size=parts.recipe.batch.size,
        mean_tokens=mean,
    )


def metrics_of(recipe: Recipe, task: Task) -> tuple[str, ...]:
    """What is measured: the recipe's metrics, those that its rules need, and what comes for nothing."""
    ruled = [name for rule in recipe.stop for name in (rule.target or {})]
    ruled += [rule.plateau.metric for rule in recipe.stop if rule.plateau is not None]
    free = ("perplexity", "token_accuracy") if recipe.task == "causal-lm" else task.metrics()
    return tuple(dict.fromkeys((*recipe.eval.metrics, *ruled, *free)))


def recompute_activations(model: Any) -> None:
    """Keep no activations for the backward pass, but compute them again.

    Raises:
        UserError: if the architecture cannot.
    """
    if not getattr(model, "supports_gradient_checkpointing", False):
        raise UserError(
            f"a {model.config.model_type} model cannot recompute its activations",
            "batch.checkpointing",
            "take it away, and use a smaller `batch.micro` where memory is short",
        )
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def fit_task(task: Task, model: Any) -> Task:
    """A regression head without a bias cannot take in the targets' mean, so they keep it."""
    if isinstance(task, Regression) and output_layer(model).bias is None:
        return replace(task, mean=0.0)
    return task


def keep_frozen_statistics(model: Any) -> None:
    """Frozen batch normalisation keeps its running statistics: make ``train()`` pass it by."""
    for module in model.modules():
        frozen = not any(parameter.requires_grad for parameter in module.parameters(recurse=False))
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and frozen:
            module.eval()
            module.train = lambda mode=True, module=module: module


def outline(parts: Parts, dtype: torch.dtype) -> Tuned:
    """The model as it would be tuned, without its weights."""
    model, fresh = load_outline(parts.recipe.model, parts.head, parts.config)
    return apply_tune(model, parts.recipe.tune, auto_model=parts.head.auto_model, fresh=fresh, dtype=dtype)


def arithmetic_of(parts: Parts, place: Place, model: Any) -> Arithmetic:
    """The arithmetic of a run, from its parts and its model (with or without weights)."""
    recipe, report = parts.recipe, parts.report
    sizes = {
        name: (parameter.numel(), parameter.requires_grad) for name, parameter in model.named_parameters()
    }
    lengths = [int(example["length"]) for example in parts.train]
    text = recipe.task == "causal-lm"
    supervised = sum(sum(e["supervised"]) for e in parts.train) if text else len(lengths)
    found = report.to_dict()
    return Arithmetic(
        task=recipe.task,
        train_examples=parts.mixture.size,
        eval_examples=len(parts.eval),
        tokens=sum(lengths),
        supervised_tokens=supervised,
        longest=max(lengths),
        left_out={**found["dropped"], "truncated (kept)": found["found"].get("truncated", 0)},
        division=division_of(parts, place.accelerator.num_processes),
        steps=steps_of(parts),
        trained=grouped({name: size for name, (size, learns) in sizes.items() if learns}),
        frozen=grouped({name: size for name, (size, learns) in sizes.items() if not learns}),
        dtype=_dtype_words(dtype_of(parts, place)),
        threads=place.threads,
        device=str(place.accelerator.device),
        layout="packed without padding" if parts.packed else "padded to the longest",
        learning=_learning_words(recipe, steps_of(parts)),
        evaluation=f"every {recipe.eval.every}: {', '.join(('loss', *metrics_of(recipe, parts.task)))}",
        stops=_stop_words(recipe),
    )


def _dtype_words(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return name if name == "float32" else f"{name} arithmetic and frozen weights, float32 trained weights"


def _learning_words(recipe: Recipe, steps: int | None) -> str:
    section = recipe.optimizer
    warmup = f"{warmup_steps(steps, section.warmup)} steps"
    return (
        f"{section.name}, learning rate {section.learning_rate:g}, {section.schedule} schedule, "
        f"warm-up {warmup}, clip {section.clip}"
    )


def _stop_words(recipe: Recipe) -> tuple[str, ...]:
    words = []
    for rule in recipe.stop:
        for name, value in rule.model_dump(exclude_none=True).items():
            parts = ", ".join(f"{key} {item}" for key, item in value.items())
            words.append(f"{name}: {parts}")
    return tuple(words)
