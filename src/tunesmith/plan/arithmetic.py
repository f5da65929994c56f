"""The arithmetic of a run, said before its first step; ``plan`` prints the same text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunesmith.plan.batch import Division


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Everything that is multiplied, counted or left out.

    Attributes:
        task: its name.
        train_examples: examples in one epoch.
        eval_examples: examples of one evaluation.
        tokens: tokens of one epoch; ``supervised_tokens`` of them carry loss.
        left_out: reason to number of rows.
        division: of the global batch.
        steps: optimiser steps at most, ``None`` if only time bounds the run.
        steps_from: which budget that is.
        trained: group name to (parameters, tensors) that learn.
        frozen: the same for those that do not.
        dtype: type of the arithmetic and of frozen weights.
        threads: per process.
        device: what computes.
        layout: how samples lie in a batch.
        learning: optimiser and schedule in words.
        chosen: sentences about sources of which not all rows are used.
        classes: rows of each class in words, by part.
        baselines: what is reached without any model, in words.
        further: what the task computes beside its steps, in words.
        kept: by what the weights that are kept are chosen, in words.
        warnings: what can hardly be meant, settings far from the usual among it.
    """

    task: str
    train_examples: int
    eval_examples: int
    tokens: int
    supervised_tokens: int
    longest: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    division: Division
    steps: int | None
    trained: Mapping[str, tuple[int, int]]
    frozen: Mapping[str, tuple[int, int]]
    dtype: str
    threads: int
    device: str
    layout: str
    learning: str
    evaluation: str
    stops: tuple[str, ...]
    chosen: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    kept: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def epochs(self) -> float:
        """Passes over the training examples that all steps make."""
        return (self.steps or 0) * self.division.size / max(self.train_examples, 1)


def plan_text(plan: Arithmetic) -> str:
    """The block of text, one subject a line."""
    unit = "tokens" if plan.supervised_tokens != plan.train_examples else "samples"
    share = plan.supervised_tokens / max(plan.tokens, 1)
    lines = [
        f"data       {plan.train_examples:,} examples to learn from, {plan.eval_examples:,} to evaluate on",
    ]
    lines += [f"chosen     {line}" for line in plan.chosen]
    lines += [f"classes    {line}" for line in plan.classes]
    if unit == "tokens":
        lines.append(
            f"tokens     {plan.tokens:,} an epoch, {plan.supervised_tokens:,} of them ({share:.0%}) carry "
            f"loss; longest example {plan.longest:,}"
        )
    lines.append(f"left out   {_left_out(plan.left_out)}")
    lines.append(f"batch      {plan.division.size} = {plan.division}, {plan.layout}")
    lines.append(f"steps      {_steps(plan)}")
    lines.append(f"learning   {plan.learning}")
    lines += [f"further    {line}" for line in plan.further]
    lines += [f"trained    {line}" for line in _groups(plan.trained, plan)]
    lines += [f"frozen     {line}" for line in _groups(plan.frozen, plan)] or ["frozen     nothing"]
    lines.append(f"numbers    {plan.dtype}; {plan.device}, {plan.threads} threads a process")
    lines.append(f"evaluation {plan.evaluation}")
    lines += [f"baseline   {line}" for line in plan.baselines]
    lines += [f"stops      {line}" for line in plan.stops]
    lines += [f"keeps      {plan.kept}"] if plan.kept else []
    lines += [f"warning    {line}" for line in plan.warnings]
    return "\n".join(lines)


def grouped(sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Parameters by module kind: block numbers are replaced by ``*``, adapters by their layer's name."""
    groups: dict[str, tuple[int, int]] = {}
    for name, size in sizes.items():
        parts = ["*" if part.isdigit() else part for part in name.split(".")]
        parts = [
            p for p in parts if p not in ("base_model", "model", "default", "base_layer", "weight", "bias")
        ]
        key = ".".join(parts)
        parameters, tensors = groups.get(key, (0, 0))
        groups[key] = (parameters + size, tensors + 1)
    return groups


def _left_out(left_out: Mapping[str, int]) -> str:
    parts = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in left_out.items() if count]
    return ", ".join(parts) or "nothing"


def _steps(plan: Arithmetic) -> str:
    if plan.steps is None:
        return "until the time is spent"
    return f"{plan.steps:,} at most = {plan.epochs:.2f} epochs"


def _groups(groups: Mapping[str, tuple[int, int]], plan: Arithmetic) -> list[str]:
    if not groups:
        return []
    everything = sum(n for n, _ in plan.trained.values()) + sum(n for n, _ in plan.frozen.values())
    total = sum(count for count, _ in groups.values())
    lines = [f"{total:,} parameters ({total / max(everything, 1):.2%})"]
    largest = sorted(groups.items(), key=lambda item: -item[1][0])
    lines += [f"  {count:>13,}  {name} x {tensors}" for name, (count, tensors) in largest[:10]]
    if len(largest) > 10:
        rest = sum(count for _, (count, _) in largest[10:])
        lines.append(f"  {rest:>13,}  in {len(largest) - 10} smaller groups")
    return lines
