"""What is saved of a run, and when it is on the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from tunesmith.checkpoint.manifest import checkpoint_name, prune
from tunesmith.checkpoint.names import temporary_path
from tunesmith.checkpoint.requests import acknowledge
from tunesmith.checkpoint.saver import SaveJob, Saver
from tunesmith.checkpoint.shards import shard_name, write_tensors
from tunesmith.errors import UserError
from tunesmith.recipe.schema.run import Run
from tunesmith.train.engine.process import from_main
from tunesmith.train.resume.checkpoint_facts import checkpoint_states, whole_numbers
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.snapshot import own_weights, snapshot, write_snapshot
from tunesmith.train.resume.state import State, to_plain_state


def open_saver(accelerator: Accelerator, run: Run, check: Callable[[], None]) -> Saver:
    """What writes a run's folders.

    Args:
        accelerator: knows the other processes.
        run: the recipe's section.
        check: raises if the run directory is no longer ours; asked before anything is published.
    """
    return Saver(
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        check=check,
        background=run.saving == "background",
    )


def save_checkpoint(checkpointer: Checkpointer, state: State, *, asked_for: bool = False) -> None:
    """Copy everything that a continuation needs, and let it be written; it appears whole or not at all.

    Every process writes its share. Older checkpoints beyond ``keep`` are removed afterwards, and best weights
    of which none speaks. If there is one of this step, then it is damaged, was passed over when the run
    was continued, and is replaced. If it was asked for from outside, that is answered when it is written.
    """
    learner, accelerator = checkpointer.learner, checkpointer.process.accelerator
    final = checkpointer.run_dir / "checkpoints" / checkpoint_name(state.progress.step)
    folder = _agree_on_folder(accelerator, final)
    taken = snapshot(
        learner.engine,
        learner.model,
        to_plain_state(state),
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        mean=learner.mean,
    )
    averaged = frozenset(checkpoint_name(step) for step in state.soup)
    checkpointer.saver.submit(
        SaveJob(
            kind="checkpoint",
            final=final,
            folder=folder,
            write=partial(write_snapshot, taken),
            about={
                "step": state.progress.step,
                "recipe": checkpointer.recipe_hash,
                "facts": checkpointer.facts,
            },
            make_room=partial(prune, final.parent, 1),
            after=partial(_saved, checkpointer, averaged, asked_for=asked_for),
        )
    )


def keep_best(checkpointer: Checkpointer, step: int) -> None:
    """Store the weights of the best measurement so far; those of an earlier one go at the next save."""
    final = checkpointer.run_dir / "best" / checkpoint_name(step)
    save_weights(checkpointer, kind="best", final=final, about={"step": step})


def save_weights(checkpointer: Checkpointer, *, kind: str, final: Path, about: Mapping[str, Any]) -> None:
    """Let the weights as they are be written, each process its share; ``kind`` and ``about`` as of a job."""
    accelerator, learner = checkpointer.process.accelerator, checkpointer.learner
    rank = accelerator.process_index
    folder = _agree_on_folder(accelerator, final)
    weights = own_weights(learner.engine, learner.model, rank=rank, processes=accelerator.num_processes)
    checkpointer.saver.submit(
        SaveJob(
            kind=kind,
            final=final,
            folder=folder,
            write=lambda place: write_tensors(place / shard_name("weights", rank), weights),
            about=about,
            make_room=partial(prune, checkpointer.run_dir / "checkpoints", 1),
            after=lambda: None,
        )
    )


def wait_for_saver(checkpointer: Checkpointer) -> None:
    """Wait until everything that was handed over is on the disk, by all processes.

    Raises:
        UserError: in all of them, if one could not write.
    """
    try:
        trouble = checkpointer.saver.wait()
    except UserError as lost:
        trouble = lost
    told = None if trouble is None else (trouble.what, trouble.where, trouble.hint)
    first = next((each for each in gather_object([told]) if each is not None), None)
    if first is not None:
        raise UserError(*first)


def drop_older_best(run_dir: Path) -> None:
    """Keep the newest of the best, and those of which a checkpoint speaks: a run may go on from there."""
    if not (run_dir / "best").is_dir():
        return
    steps = whole_numbers([said.get("best_step") for said in checkpoint_states(run_dir)])
    spoken_of = {checkpoint_name(step) for step in steps}
    prune(run_dir / "best", 1, protected=spoken_of)


def _saved(checkpointer: Checkpointer, averaged: frozenset[str], *, asked_for: bool) -> None:
    if asked_for:
        acknowledge(checkpointer.run_dir, "save")
    prune(checkpointer.run_dir / "checkpoints", checkpointer.keep, protected=averaged)
    drop_older_best(checkpointer.run_dir)
    checkpointer.tidy()


def _agree_on_folder(accelerator: Accelerator, final: Path) -> Path:
    return Path(from_main(accelerator, str(temporary_path(final))))
