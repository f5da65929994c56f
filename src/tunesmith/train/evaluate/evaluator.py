"""All that one evaluation takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.prepare.eval_sets import EvalSets
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.tasks.task import Example
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process
from tunesmith.train.evaluate.graders import Grader
from tunesmith.train.evaluate.harness import Harness


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """Measures a learner.

    Attributes:
        process: this one, among the others.
        learner: what is measured.
        recipe: resolved.
        examples: to evaluate on.
        eval_sets: groups of these examples, and what is measured on beside them.
        metrics: to be measured at each evaluation.
        graders: metrics that look at answers by other means than their reference.
        harness: loaded tasks of lm-evaluation-harness, in the first process, if the recipe names some.
    """

    process: Process
    learner: Learner
    recipe: Recipe
    examples: Sequence[Example]
    eval_sets: EvalSets
    metrics: tuple[str, ...]
    graders: Mapping[str, Grader] = field(default_factory=dict)
    harness: Harness | None = None
