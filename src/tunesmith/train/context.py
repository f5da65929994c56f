"""The parts of a run, made and prepared, as the loop takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.row_order import RowOrder
from tunesmith.plan.batch import Division
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.task import Example
from tunesmith.train.async_eval.pending import Handover
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.evaluate.evaluator import Evaluator
from tunesmith.train.resume.checkpointer import Checkpointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that does not change while training: four parts, and the rows to learn from.

    The sub-rooms get the part that they need, never the whole.

    Attributes:
        recipe: resolved.
        process: this one, among the others.
        learner: the model and its task.
        evaluator: measures the learner.
        checkpointer: saves and restores it.
        train: examples to learn from.
        order: in which they are seen.
        division: of the global batch.
        total_steps: length of the schedule; ``None`` if only time bounds the run.
        handover: how evaluations are made beside training; ``None`` if training waits for each.
        baseline_bytes: of this process in memory just before the model was made.
    """

    recipe: Recipe
    process: Process
    learner: Learner
    evaluator: Evaluator
    checkpointer: Checkpointer
    train: Sequence[Example]
    order: RowOrder
    division: Division
    total_steps: int | None
    handover: Handover | None = None
    baseline_bytes: int = 0

    @property
    def ids(self) -> list[str]:
        """Of the rows to learn from."""
        return [example["id"] for example in self.train]
