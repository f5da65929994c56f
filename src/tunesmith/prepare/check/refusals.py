"""What a run refuses once its rows are encoded, found by a plan as well: nothing is loaded for it."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.errors import UserError
from tunesmith.judge.check_rules import check_evidence, check_rules
from tunesmith.metrics.compute import predicts
from tunesmith.model.tune.quantize import refuse_sharded
from tunesmith.prepare.check.inputs import missing_packages
from tunesmith.prepare.check.trackers import refuse_missing_trackers
from tunesmith.prepare.describe import measured_metrics
from tunesmith.prepare.eval_sets import EvalSets, make_eval_sets
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.recipe.check.metric_names import all_metrics, set_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.language.packing import class_of
from tunesmith.tasks.task import Example


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
    measured = {"data.eval": (parts.held_out.eval, metrics), "data.test": (parts.held_out.test, metrics)}
    for name, examples in parts.held_out.sets.items():
        measured[f"eval.sets.{name}"] = (examples, set_metrics(recipe, name))
    for examples, names in measured.values():
        refuse_plain_text(examples, names)
    _refuse_recomputation(parts)


def refuse_plain_text(examples: Sequence[Example], metrics: Sequence[str]) -> None:
    """Make sure that rows whose answers are measured have an answer.

    Raises:
        UserError: one of them is plain text.
    """
    without = next((one["id"] for one in examples if one["reference"] == ""), None)
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


def refuse_rules(
    recipe: Recipe, metrics: Sequence[str], examples: int, aside: EvalSets, *, deepspeed: bool = False
) -> None:
    """Make sure that every rule can be judged by what will be measured.

    Args:
        recipe: names rules.
        metrics: of the evaluation set.
        examples: of the evaluation set.
        aside: slices that are measured apart.
        deepspeed: whether that trains.

    Raises:
        UserError: for the first that cannot.
    """
    slices = {part: part[0] in aside.telling for part in aside.slices}
    problems = [
        *check_rules(recipe.stop, all_metrics(recipe, ("loss", *metrics), slices)),
        *check_evidence(recipe.stop, examples, aside.sizes),
    ]
    if problems:
        first = problems[0]
        raise UserError(first.what, ".".join(str(part) for part in first.path), first.hint)
    if deepspeed and recipe.safety.spike == "skip":
        raise UserError(
            "DeepSpeed cannot leave out a step whose gradient is finite",
            "safety.spike",
            "write `back` or `stop`, or choose a profile without DeepSpeed",
        )
