"""All that saving and restoring take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.saver import Saver
from tunesmith.train.engine.learner import Learner
from tunesmith.train.engine.process import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointer:
    """Saves and restores a learner.

    Attributes:
        process: this one, among the others.
        learner: what is saved.
        saver: writes what is to be kept.
        run_dir: exists, and is ours.
        keep: how many checkpoints stay.
        recipe_hash: of what shapes learning.
        facts: that tell how exactly a checkpoint can be continued.
        tidy: called when a checkpoint is on the disk, to remove what only an older one spoke of.
    """

    process: Process
    learner: Learner
    saver: Saver
    run_dir: Path
    keep: int
    recipe_hash: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    tidy: Callable[[], None] = lambda: None
