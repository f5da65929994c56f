"""After the last step: best weights, finished model, result and report."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from tunesmith.checkpoint.atomic import writing
from tunesmith.checkpoint.journal import read_journal
from tunesmith.fault import fault
from tunesmith.judge.decide import unjudged
from tunesmith.judge.explain import explain_verdict
from tunesmith.judge.measurement import Measurement
from tunesmith.judge.selection.best import without_choice
from tunesmith.judge.selection.deciding_metric import choosing, few_rows_words
from tunesmith.judge.selection.delivered import Delivered
from tunesmith.metrics.names import slice_of
from tunesmith.model.export.save import export_model
from tunesmith.prepare.adapter_settings import merges
from tunesmith.prepare.base_model import read_object
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.stop import StopRule
from tunesmith.train.build import outline
from tunesmith.train.deliver.model_card import front_matter, more_of_card
from tunesmith.train.deliver.remarks import afterwords, left_behind, steps_beyond
from tunesmith.train.deliver.select_weights import FinalWeights, plain_chosen, select_weights
from tunesmith.train.deliver.verify_export import prove
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.train.log import Log
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.state import State
from tunesmith.world.memory import give_back_memory

Status = Literal["completed", "stopped", "preempted", "failed"]


def finish(
    evaluator: Evaluator,
    checkpointer: Checkpointer,
    state: State,
    parts: PreparedInputs,
    log: Log,
    *,
    still_ours: Callable[[], None],
) -> FinalWeights:
    """Choose the weights, and write them as the finished model, if the directory is still ours."""
    chosen = select_weights(evaluator, checkpointer, state, log)
    process, recipe, task = evaluator.process, evaluator.recipe, evaluator.learner.task
    model = whole_model(process, evaluator.learner, parts)
    if process.is_main:
        task.before_export(model)
        folder, card = checkpointer.run_dir / "model", _card(recipe, state, chosen)
        adapter = recipe.tune.lora is not None and not merges(recipe)
        card += "\n" + more_of_card(parts, state, adapter=adapter)
        fault("export")
        with writing(folder):
            export_model(
                model,
                parts.processor,
                folder,
                card=card,
                dtype=evaluator.learner.dtype,
                merge=merges(recipe),
                further=task.further_files(model),
                still_ours=still_ours,
            )
        size = sum(each.numel() * each.element_size() for each in model.parameters())
        if evaluator.learner.sharded or evaluator.learner.engine.stage == 0:
            _let_go(model)
        proof = prove(evaluator, checkpointer.run_dir, folder, parts.processor, size=size)
        chosen = replace(chosen, proof=proof)
    process.accelerator.wait_for_everyone()
    return chosen


def _let_go(model: Any) -> None:
    """Free the weights, which are written: opening the folder needs room for them again."""
    for parameter in model.parameters():
        parameter.data = parameter.data.new_empty(0)
    give_back_memory()


def whole_model(process: Process, learner: Learner, parts: PreparedInputs) -> Any:
    """The model with all its weights; if they are sharded, a copy on the CPU of the first process."""
    if not learner.sharded:
        return learner.model
    values = {}
    for name, value in learner.engine.weights(frozen=True):
        if process.is_main:
            values[name] = value.detach().cpu()
    if not process.is_main:
        return None
    model = outline(parts, learner.dtype).model
    values |= {name: buffer.detach().cpu() for name, buffer in learner.model.named_buffers()}
    for name, value in values.items():
        _assign(model, name, value)
    inner, bare = (m.get_base_model() if hasattr(m, "get_base_model") else m for m in (model, learner.model))
    inner.config = bare.config
    if hasattr(bare, "generation_config"):
        inner.generation_config = bare.generation_config
    inner.tie_weights()
    return model


def _assign(model: Any, name: str, value: torch.Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    if leaf in module._parameters:
        learns = module._parameters[leaf].requires_grad
        module._parameters[leaf] = torch.nn.Parameter(value, requires_grad=learns)
    else:
        module._buffers[leaf] = value


def status_of(state: State, rules: Sequence[StopRule]) -> Status:
    """``completed`` when the budget is spent, ``stopped`` when a rule ended the run earlier.

    ``failed`` when a metric that the recipe insists on has no value, or the one by which weights are chosen
    never had any: that is no success.
    """
    if state.preempted:
        return "preempted"
    if state.verdict.rule == "missing" or without_choice(state.history, rules) is not None:
        return "failed"
    return "completed" if state.verdict.rule == "budget" else "stopped"


def result_of(
    process: Process, run_dir: Path, rules: Sequence[StopRule], state: State, chosen: FinalWeights
) -> dict[str, Any]:
    """The content of ``result.json``."""
    history = state.history
    kept = next((m for m in history if m.step == state.best_step), None)
    delivered = chosen.delivered or (Delivered(measurement=kept) if kept is not None else None)
    best = chosen.best or kept
    why = explain_verdict(history, state.verdict, rules, delivered)
    words = [why, *left_behind(state), *afterwords(chosen, rules)]
    lacking = None if state.preempted else without_choice(history, rules)
    words += [f"The run failed: {lacking}."] if lacking is not None else []
    training, evaluating = seconds_of(state)
    resumed = [r for r in read_journal(run_dir / "metrics.jsonl") if r["kind"] == "resume"]
    return {
        "status": status_of(state, rules),
        **({"error": lacking} if lacking is not None else {}),
        "stop": _stop(state),
        "explanation": " ".join(words),
        "unknown": unjudged(history, rules),
        "baseline": _metrics(history[0]) if history and history[0].progress.step == 0 else None,
        "best": _metrics(best) if best else None,
        "chosen_by": _chosen_by(rules, best),
        "without_model": _read_list(run_dir / "data.json", "without_model"),
        "delivered": _delivered(chosen),
        "final": _metrics(history[-1]) if history else None,
        **plain_chosen(chosen),
        "throughput": {
            "tokens_per_second": state.progress.tokens / training,
            "steps_per_second": state.progress.step / training,
            "seconds": training + evaluating - sum(m.seconds for m in history if m.beside),
            "device_seconds": state.progress.device_seconds,
            "joules": state.progress.joules,
        },
        "world": {"processes": process.world.world_size, "machines": process.world.machines},
        "resumed_from": [r["step"] for r in resumed],
        "continuations": [{name: r[name] for name in ("step", "level", "why")} for r in resumed],
        "model": None if state.preempted else "model",
    }


def resources_of(process: Process, state: State, *, baseline_bytes: int) -> dict[str, Any]:
    """What the run took, for the report."""
    training, evaluating = seconds_of(state)
    return {
        "baseline_rss_bytes": baseline_bytes,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seconds_training": training,
        "seconds_evaluating": evaluating,
        "tokens_per_second": state.progress.tokens / training,
        "threads": process.threads,
        "device": str(process.accelerator.device),
    }


def seconds_of(state: State) -> tuple[float, float]:
    """Seconds of training and of evaluating.

    The clock of the last step has run through every evaluation but the one that came after that step, and
    those that were made beside training.
    """
    evaluating = sum(measurement.seconds for measurement in state.history)
    before = sum(m.seconds for m in state.history if not m.beside and m.step < state.progress.step)
    return max(state.progress.seconds - before, 1e-9), evaluating


def _stop(state: State) -> dict[str, Any]:
    rule, reason = state.verdict.rule, state.verdict.reason
    if state.preempted:
        rule, reason = "signal", "the run was asked to leave; the same command goes on with it"
    beyond = steps_beyond(state)
    step = state.progress.step - beyond
    return {"rule": rule, "reason": reason, "step": step, **({"steps_beyond": beyond} if beyond else {})}


def _read_list(path: Path, key: str) -> list[Any]:
    found = read_object(path).get(key) if path.exists() else None
    return found if isinstance(found, list) else []


def _chosen_by(rules: Sequence[StopRule], best: Measurement | None) -> dict[str, Any]:
    """The metric that chose the weights, the rule that names it, and on how many rows it rests."""
    choice = choosing(rules)
    rows = best.seen(choice.metric) if best is not None else None
    warning = few_rows_words(choice.metric, rows)
    said = {"metric": choice.metric, "rule": choice.rule or None, "where": choice.where or None, "rows": rows}
    return said | ({"warning": warning} if warning else {})


def _delivered(chosen: FinalWeights) -> dict[str, Any] | None:
    """Which weights ``model/`` holds and what they score; ``None`` if nothing was measured or written."""
    given = chosen.delivered
    if given is None:
        return None
    return {"weights": given.weights, "average": given.average or None, **_metrics(given.measurement)}


def _metrics(measurement: Measurement) -> dict[str, Any]:
    return {
        "step": measurement.progress.step,
        "examples": measurement.examples,
        "metrics": dict(measurement.metrics),
        "intervals": {name: list(ends) for name, ends in measurement.intervals.items()},
    }


def _card(recipe: Recipe, state: State, chosen: FinalWeights) -> str:
    given = chosen.delivered
    measured = given.measurement.metrics if given is not None else {}
    values = {name: value for name, value in measured.items() if slice_of(name) is None}
    rows = [f"| {name} | {value:.4f} |" for name, value in values.items()]
    tested = chosen.test.metrics if chosen.test is not None else {}
    rows += [f"| {name}, on a test split | {value:.4f} |" for name, value in tested.items()]
    weights = given.weights if given is not None else f"step {state.progress.step}"
    lines = [
        "---",
        "library_name: transformers",
        "tags: [tunesmith]",
        *front_matter(recipe),
        "---",
        f"# {Path(str(recipe.run.dir)).name}",
        "",
        f"A `{recipe.task.name}` model, tuned from `{recipe.model.source or 'a new model'}` with tunesmith.",
        f"Weights of {weights}. It stopped because: {state.verdict.reason}.",
        "",
        "| metric | value on held-out rows |",
        "|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)
