"""Rows and a process to a ``Setup``: load the model, choose what learns, divide the batch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from tunesmith.checkpoint.saver import Saver
from tunesmith.errors import UserError
from tunesmith.fault import fault
from tunesmith.metrics.compute import load_metrics
from tunesmith.model.load import load_model, load_outline, set_padding
from tunesmith.model.precision import choose_dtype
from tunesmith.model.tune.apply import Tuned, apply_tune, needs_autocast
from tunesmith.model.tune.prequantized import stored_bits
from tunesmith.model.tune.quantize import refuse_sharded, true_size
from tunesmith.model.tune.select import is_head
from tunesmith.plan.arithmetic import Arithmetic
from tunesmith.prepare.check.refusals import refuse_rules
from tunesmith.prepare.describe import describe, division_of, measured_metrics, steps_of
from tunesmith.prepare.eval_sets import make_eval_sets
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.recipe.check.metric_names import set_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.task import Task
from tunesmith.train.async_eval.mailbox import drop_collected
from tunesmith.train.context import Setup
from tunesmith.train.engine.averaging import start_mean
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.optimizer import make_optimizer
from tunesmith.train.engine.process import Process, on_main, seed_everything
from tunesmith.train.engine.wrap import wrap_model, zero_stage
from tunesmith.train.engine.zero import keep_transformers_out
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.train.evaluate.graders import make_graders, refuse_judge
from tunesmith.train.evaluate.harness import load_harness
from tunesmith.train.inference.enrich import enrich
from tunesmith.train.record.environment import facts_of
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.world.memory import resident_bytes


def build(parts: PreparedInputs, process: Process, run_dir: Path, recipe_hash: str, *, saver: Saver) -> Setup:
    """Everything that the loop needs, on its device.

    Args:
        parts: of the recipe.
        process: where it is computed.
        run_dir: ours.
        recipe_hash: of what shapes learning.
        saver: writes there.
    """
    recipe, accelerator = parts.recipe, process.accelerator
    deepspeed = accelerator.distributed_type == DistributedType.DEEPSPEED
    if deepspeed:
        keep_transformers_out()
    metrics = measured_metrics(recipe, parts.task)
    refuse_rules(recipe, metrics, len(parts.held_out.eval), make_eval_sets(parts)[1], deepspeed=deepspeed)
    load_metrics([*metrics, *(each for name in recipe.eval.sets for each in set_metrics(recipe, name))])
    harness = _from_outside(recipe, accelerator)
    # Every process must begin with the same weights, also where they are made up.
    seed_everything(recipe.run.seed, 0)
    refuse_sharded(recipe.model.quantize or stored_bits(parts.config), zero_stage(accelerator))
    baseline = resident_bytes()
    fault("load")
    learner = _learner(parts, process)
    parts = enrich(parts, process, learner)
    examples, eval_sets = make_eval_sets(parts)
    seed_everything(recipe.run.seed, process.mesh.dp_rank)
    division = division_of(parts, process.mesh.dp_size)
    return Setup(
        recipe=recipe,
        process=process,
        learner=learner,
        evaluator=Evaluator(
            process=process,
            learner=learner,
            recipe=recipe,
            examples=examples,
            eval_sets=eval_sets,
            metrics=metrics,
            graders=make_graders(recipe.eval, parts.held_out.marks, run_dir, process.pulse.look),
            harness=harness,
        ),
        checkpointer=Checkpointer(
            process=process,
            learner=learner,
            saver=saver,
            run_dir=run_dir,
            keep=recipe.run.keep,
            recipe_hash=recipe_hash,
            facts=facts_of(process, learner.engine, division),
            tidy=partial(drop_collected, run_dir),
        ),
        train=parts.train,
        order=parts.order,
        division=division,
        total_steps=steps_of(parts),
        baseline_bytes=baseline,
    )


def _learner(parts: PreparedInputs, process: Process) -> Learner:
    """The model and its task, given to the engine that the profile asks for."""
    recipe, dtype = parts.recipe, dtype_of(parts, process)
    model, task = _tuned(parts, process.accelerator, dtype)
    autocast = dtype if needs_autocast(model, dtype) else None
    optimizer = make_optimizer(model, recipe.optimizer)
    engine = wrap_model(process.accelerator, model, optimizer, clip=recipe.optimizer.clip, dtype=dtype)
    return Learner(
        engine=engine,
        model=model,
        task=task,
        dtype=dtype,
        autocast=autocast,
        mean=start_mean(model, recipe.run.average, stage=engine.stage),
    )


def _tuned(parts: PreparedInputs, accelerator: Accelerator, dtype: torch.dtype) -> tuple[Any, Task]:
    """The model with its adapters and what learns of it chosen, and the task fitted to it."""
    recipe = parts.recipe
    loaded = torch.float32 if recipe.tune.lora is None else dtype
    model, fresh = load_model(recipe.model, parts.head, parts.config, loaded)
    set_padding(model.config, parts.head, parts.processor)
    task = parts.task.fit(model, fresh_head=any(map(is_head, fresh)))
    tuned = apply_tune(
        model,
        recipe.tune,
        task=parts.head.task,
        fresh=fresh,
        dtype=dtype,
        fuse=fuses(accelerator),
    )
    model = tuned.model
    if recipe.batch.checkpointing:
        recompute_activations(model)
    keep_frozen_statistics(model)
    return model, task


def _from_outside(recipe: Recipe, accelerator: Accelerator) -> Any:
    """Make sure of a judge, and load the tasks of lm-evaluation-harness.

    The first process, which alone measures with them, has them; whole weights are needed for that.
    """
    on_main(accelerator, partial(refuse_judge, recipe.eval))
    if not recipe.eval.harness:
        return None
    if accelerator.num_processes > 1 and zero_stage(accelerator) == 3:
        raise UserError(
            "`eval.harness` needs whole weights in the first process, and this profile divides them",
            "eval.harness",
            "choose a profile that keeps them whole, up to ZeRO stage 2",
        )
    found: list[Any] = []
    on_main(accelerator, lambda: found.append(load_harness(recipe.eval)))
    return found[0] if found else None


def dtype_of(parts: PreparedInputs, process: Process) -> torch.dtype:
    """Type of the arithmetic and of frozen weights."""
    return choose_dtype(parts.recipe.model.dtype, process.profile, process.accelerator.device)


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


def keep_frozen_statistics(model: Any) -> None:
    """Frozen batch normalisation keeps its running statistics: make ``train()`` pass it by."""
    for module in model.modules():
        frozen = not any(parameter.requires_grad for parameter in module.parameters(recurse=False))
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and frozen:
            module.eval()
            module.train = lambda mode=True, module=module: module


def fuses(accelerator: Accelerator) -> bool:
    """Whether adapters may take part in one product with their layer.

    ZeRO-3 gathers a layer's weights when that layer is called, and the product calls no inner layer.
    """
    return not (accelerator.distributed_type == DistributedType.DEEPSPEED and zero_stage(accelerator) == 3)


def outline(parts: PreparedInputs, dtype: torch.dtype) -> Tuned:
    """The model as it would be tuned, without its weights."""
    model, fresh = load_outline(parts.recipe.model, parts.head, parts.config)
    return apply_tune(model, parts.recipe.tune, task=parts.head.task, fresh=fresh, dtype=dtype)


def arithmetic_of(parts: PreparedInputs, process: Process, model: Any) -> Arithmetic:
    """The arithmetic of a run, from its parts and its model (with or without weights)."""
    return describe(
        parts,
        {
            name: (true_size(parameter), parameter.requires_grad)
            for name, parameter in model.named_parameters()
        },
        processes=process.mesh.dp_size,
        dtype=str(dtype_of(parts, process)).removeprefix("torch."),
        threads=process.threads,
        device=str(process.accelerator.device),
    )
