"""Go on from what was saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.manifest import checkpoint_name, newest_valid, read_manifest, verify
from tunesmith.checkpoint.shards import read_shards
from tunesmith.errors import UserError
from tunesmith.train.engine.averaging import put_mean
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.snapshot import restore, restore_weights
from tunesmith.train.resume.state import State, from_plain_state


def load_checkpoint(
    checkpointer: Checkpointer, *, before: int | None = None, weights_only: bool = False
) -> tuple[State, list[str]]:
    """Restore the newest whole checkpoint, or the newest of those before a step.

    With ``weights_only``, the optimiser, the loss scale and the random numbers begin anew.

    Returns:
        The state, fresh if the run has no checkpoint; and what was wrong with newer ones that were
        passed over.

    Raises:
        UserError: if there are checkpoints, and none is whole: starting over would hide the loss.
    """
    learner, saved = checkpointer.learner, checkpointer.run_dir / "checkpoints"
    folder, problems = newest_valid(saved, before=before)
    if folder is None and problems:
        raise UserError(
            f"every checkpoint of this run is damaged: {'; '.join(problems[:3])}",
            where=str(saved),
            hint="restore them from a backup, or start over in a new directory with `--fresh`",
        )
    if folder is None:
        return State(), []
    put_mean(learner.mean, read_shards(folder, "mean") if learner.mean is not None else {})
    rank = checkpointer.process.accelerator.process_index
    plain = restore(folder, learner.engine, learner.model, rank, weights_only=weights_only)
    return from_plain_state(plain), problems


def saved_facts(run_dir: Path, step: int) -> Mapping[str, Any]:
    """The facts that a checkpoint's manifest holds of the part of the run that wrote it."""
    facts = read_manifest(run_dir / "checkpoints" / checkpoint_name(step)).get("facts", {})
    return facts if isinstance(facts, dict) else {}


def saved_recipe(run_dir: Path, step: int) -> str | None:
    """The hash of the recipe by which a checkpoint was written."""
    found = read_manifest(run_dir / "checkpoints" / checkpoint_name(step)).get("recipe")
    return None if found is None else str(found)


def restore_best(checkpointer: Checkpointer, step: int) -> None:
    """Put the weights of the best measurement back into the model.

    Raises:
        UserError: if they are damaged.
    """
    folder = checkpointer.run_dir / "best" / checkpoint_name(step)
    problems = verify(folder)
    if problems:
        raise UserError(
            f"the best weights, those of step {step}, are damaged: {problems[0]}",
            where=str(folder),
            hint="restore the folder from a backup, or start over in a new directory with `--fresh`",
        )
    restore_weights(folder, checkpointer.learner.engine, checkpointer.learner.model)
