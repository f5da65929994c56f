"""The grammar of a recipe: what can be said, with every default; stop rules have a file of their own.

Everything here is frozen and refuses unknown keys. Rules across keys live in ``check.py``.
Nothing in this file imports torch, so that a mistake is reported in well under a second.
"""

from __future__ import annotations

from tunesmith.recipe.schema.data import Data
from tunesmith.recipe.schema.eval import Eval
from tunesmith.recipe.schema.model import Model
from tunesmith.recipe.schema.run import Run, Safety
from tunesmith.recipe.schema.stop import Budget, StopRule
from tunesmith.recipe.schema.tune import BatchSettings, Optimizer, Tune
from tunesmith.recipe.section import Section
from tunesmith.recipe.tasks.table import TaskSection


class Recipe(Section):
    """A whole recipe, resolved: every default filled in."""

    task: TaskSection
    model: Model
    data: Data
    tune: Tune = Tune()
    optimizer: Optimizer
    batch: BatchSettings
    eval: Eval = Eval()
    stop: tuple[StopRule, ...] = (StopRule(budget=Budget(epochs=3)),)
    safety: Safety = Safety()
    run: Run = Run()
