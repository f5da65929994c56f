"""The parts of a run, made and prepared, as the loop takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from tunesmith.checkpoint.saver import Saver
from tunesmith.data.row_order import RowOrder
from tunesmith.plan.batch import Division
from tunesmith.prepare.eval_sets import EvalSets
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.task import Example, Scored, Task
from tunesmith.train.async_eval.pending import Handover
from tunesmith.train.engine.engine import Engine
from tunesmith.train.resume.averaging import RunningMean
from tunesmith.train.supervise.heartbeat import Pulse

ALONE = EvalSets()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that does not change while training.

    Attributes:
        recipe: resolved.
        recipe_hash: of what shapes learning.
        run_dir: exists, and is ours.
        accelerator: knows the device and the other processes.
        engine: holds the model as it trains, and the optimiser; knows what is sharded.
        bare: the model as it was before, for everything else.
        task: encodes, collates, forms the loss, scores.
        train: examples to learn from.
        eval: examples to evaluate on.
        order: in which they are seen.
        division: of the global batch.
        total_steps: length of the schedule; ``None`` if only time bounds the run.
        metrics: to be measured at each evaluation.
        autocast: type of the arithmetic, if the weights have another.
        dtype: of the arithmetic.
        saver: writes what is to be kept.
        facts: that tell how exactly a checkpoint can be continued.
        aside: groups of the evaluation examples, and what is measured on beside them.
        harness: loaded tasks of lm-evaluation-harness, in the first process, if the recipe names some.
        graders: metrics that look at answers by other means than their reference.
        handover: how evaluations are made beside training; ``None`` if training waits for each.
        mean: running mean of the weights, if the recipe asks for one.
        pulse: what this process tells of itself, and whether it was asked to leave.
        baseline_bytes: of this process in memory just before the model was made.
    """

    recipe: Recipe
    recipe_hash: str
    run_dir: Path
    accelerator: Accelerator
    engine: Engine
    bare: Any
    task: Task
    train: Sequence[Example]
    eval: Sequence[Example]
    order: RowOrder
    division: Division
    total_steps: int | None
    metrics: tuple[str, ...]
    autocast: torch.dtype | None
    dtype: torch.dtype
    saver: Saver
    facts: Mapping[str, Any]
    pulse: Pulse = field(default_factory=Pulse)
    aside: EvalSets = ALONE
    harness: Any = None
    graders: Mapping[str, Callable[[Sequence[Scored]], list[float]]] = field(default_factory=dict)
    handover: Handover | None = None
    mean: RunningMean | None = None
    baseline_bytes: int = 0
