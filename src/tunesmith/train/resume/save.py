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
from tunesmith.train.async_eval.mailbox import drop_collected
from tunesmith.train.engine.engine import Engine
from tunesmith.train.engine.process import from_main
from tunesmith.train.resume.averaging import RunningMean
from tunesmith.train.resume.checkpoint_facts import checkpoint_states, whole_numbers
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


def save_checkpoint(
    saver: Saver,
    run_dir: Path,
    accelerator: Accelerator,
    engine: Engine,
    model: Any,
    state: State,
    *,
    keep: int,
    about: Mapping[str, Any],
    asked_for: bool = False,
    mean: RunningMean | None = None,
) -> None:
    """Copy everything that a continuation needs, and let it be written; it appears whole or not at all.

    Every process writes its share. Older checkpoints beyond ``keep`` are removed afterwards, and best weights
    of which none speaks. If there is one of this step, then it is damaged, was passed over when the run
    was continued, and is replaced. If it was asked for from outside, that is answered when it is written.
    """
    final = run_dir / "checkpoints" / checkpoint_name(state.progress.step)
    rank, processes = accelerator.process_index, accelerator.num_processes
    folder = _agree_on_folder(accelerator, final)
    taken = snapshot(engine, model, to_plain_state(state), rank=rank, processes=processes, mean=mean)
    averaged = frozenset(checkpoint_name(step) for step in state.soup)
    saver.submit(
        SaveJob(
            kind="checkpoint",
            final=final,
            folder=folder,
            write=partial(write_snapshot, taken),
            about={"step": state.progress.step, **about},
            make_room=partial(prune, final.parent, 1),
            after=partial(_saved, run_dir, keep, averaged, asked_for=asked_for),
        )
    )


def keep_best(
    saver: Saver, run_dir: Path, accelerator: Accelerator, engine: Engine, model: Any, step: int
) -> None:
    """Store the weights of the best measurement so far; those of an earlier one go at the next save."""
    final = run_dir / "best" / checkpoint_name(step)
    save_weights(saver, run_dir, accelerator, engine, model, kind="best", final=final, about={"step": step})


def save_weights(
    saver: Saver,
    run_dir: Path,
    accelerator: Accelerator,
    engine: Engine,
    model: Any,
    *,
    kind: str,
    final: Path,
    about: Mapping[str, Any],
) -> None:
    """Let the weights as they are be written, each process its share; ``kind`` and ``about`` as of a job."""
    rank = accelerator.process_index
    folder = _agree_on_folder(accelerator, final)
    weights = own_weights(engine, model, rank=rank, processes=accelerator.num_processes)
    saver.submit(
        SaveJob(
            kind=kind,
            final=final,
            folder=folder,
            write=lambda place: write_tensors(place / shard_name("weights", rank), weights),
            about=about,
            make_room=partial(prune, run_dir / "checkpoints", 1),
            after=lambda: None,
        )
    )


def wait_for_saver(saver: Saver, accelerator: Accelerator) -> None:
    """Wait until everything that was handed over is on the disk, by all processes.

    Raises:
        UserError: in all of them, if one could not write.
    """
    try:
        trouble = saver.wait()
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


def _saved(run_dir: Path, keep: int, averaged: frozenset[str], *, asked_for: bool) -> None:
    if asked_for:
        acknowledge(run_dir, "save")
    prune(run_dir / "checkpoints", keep, protected=averaged)
    drop_older_best(run_dir)
    drop_collected(run_dir)


def _agree_on_folder(accelerator: Accelerator, final: Path) -> Path:
    return Path(from_main(accelerator, str(temporary_path(final))))
