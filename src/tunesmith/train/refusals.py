"""What a run refuses once its rows are encoded, found by a plan as well: nothing is loaded for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.model.tune.quantize import refuse_sharded
from tunesmith.prepare.check.inputs import missing_packages
from tunesmith.prepare.describe import measured_metrics
from tunesmith.prepare.eval_sets import make_eval_sets
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.recipe.check.metric_names import set_metrics
from tunesmith.recipe.dump import recipe_hash
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.language.packable import class_of
from tunesmith.tasks.task import Example
from tunesmith.train.build import refuse_rules
from tunesmith.train.evaluate.score import predicts
from tunesmith.train.record.trackers import refuse_missing_trackers
from tunesmith.train.resume.exactness import ResumePolicy
from tunesmith.train.resume.ownership import changes_of_recipe


def refuse_as_run(parts: PreparedInputs, *, deepspeed: bool = False, zero_stage: int = 0) -> None:
    """Raise what a run of these parts would raise before its first step.

    Args:
        parts: rows and task of the recipe.
        deepspeed: whether its profile uses DeepSpeed.
        zero_stage: of that profile.

    Raises:
        UserError: the first thing that a run would refuse.
    """
    recipe = parts.recipe
    for problem in missing_packages(recipe):
        raise problem
    refuse_missing_trackers(recipe.run.trackers)
    metrics = measured_metrics(recipe, parts.task)
    examples, aside = make_eval_sets(parts)
    refuse_rules(recipe, metrics, len(examples), aside, deepspeed=deepspeed)
    refuse_sharded(recipe.model.quantize, zero_stage)
    if recipe.eval.harness and zero_stage == 3:
        raise UserError(
            "`eval.harness` needs whole weights in the first process, and this profile divides them",
            "eval.harness",
            "choose a profile that keeps them whole, up to ZeRO stage 2",
        )
    measured = {"data.eval": (parts.eval, metrics), "data.test": (parts.test, metrics)}
    for name, examples in parts.sets.items():
        measured[f"eval.sets.{name}"] = (examples, set_metrics(recipe, name))
    for examples, names in measured.values():
        refuse_plain_text(examples, names)
    _refuse_recomputation(parts)


def refuse_plain_text(examples: Sequence[Example], metrics: Sequence[str]) -> None:
    """Make sure that rows whose answers are measured have an answer.

    Raises:
        UserError: one of them is plain text.
    """
    without = next((one["id"] for one in examples if "reference" in one and not one["reference"]), None)
    if without is not None and predicts(metrics):
        raise UserError(
            f"row `{without}` is plain text, with no answer that a generated one could be compared with",
            "eval.metrics",
            "measure `loss`, `perplexity` or `token_accuracy`, or give rows with `prompt` and `completion`",
        )


def _refuse_recomputation(parts: PreparedInputs) -> None:
    if not parts.recipe.batch.checkpointing or not hasattr(parts.config, "architectures"):
        return
    made = class_of(parts.config, parts.head.auto_model)
    if made is not None and not getattr(made, "supports_gradient_checkpointing", False):
        raise UserError(
            f"a {parts.config.model_type} model cannot recompute its activations",
            "batch.checkpointing",
            "take it away, and use a smaller `batch.micro` where memory is short",
        )


def directory_taken(recipe: Recipe) -> UserError | None:
    """Why the run directory cannot be this recipe's; ``None`` if it is free, or holds this very run."""
    try:
        changes_of_recipe(Path(str(recipe.run.dir)), recipe, recipe_hash(recipe), ResumePolicy())
    except UserError as problem:
        return problem
    return None
