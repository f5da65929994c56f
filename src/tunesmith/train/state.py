"""How far a run is, what it knows, and how that survives a crash."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from tunesmith.checkpoint.atomic import make_folder, publish_folder, staging_folder, writing
from tunesmith.checkpoint.manifest import (
    checkpoint_name,
    checkpoints,
    newest_valid,
    prune,
    verify,
    write_manifest,
)
from tunesmith.checkpoint.state import shard_name, write_tensors
from tunesmith.errors import UserError
from tunesmith.judge.measurement import History, Measurement, Progress, Verdict, from_plain, to_plain
from tunesmith.judge.references import Kept, kept_from_plain, kept_to_plain
from tunesmith.train.engine import Engine
from tunesmith.train.snapshot import own_weights, restore, restore_weights, snapshot, write_snapshot

START = Progress(step=0, epoch=0.0, tokens=0, seconds=0.0)
GO_ON = Verdict(decision="continue", rule="", reason="nothing has been measured yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run between two steps.

    Attributes:
        progress: steps, epochs, tokens and seconds so far.
        history: every measurement.
        verdict: the newest.
        best_step: whose weights are kept in ``best/``; ``None`` before the first measurement.
        preempted: whether a signal ended this part of the run.
        kept: what each example gave at the few measurements that the next ones are compared with.
        micro: samples a pass, if memory left room for fewer than was planned.
    """

    progress: Progress = START
    history: History = ()
    verdict: Verdict = GO_ON
    best_step: int | None = None
    preempted: bool = False
    micro: int | None = None
    kept: Kept = field(default_factory=dict)

    def measured(self, measurement: Measurement) -> State:
        """The state with one more measurement."""
        return replace(self, history=(*self.history, measurement))


def save_checkpoint(
    run_dir: Path,
    accelerator: Accelerator,
    engine: Engine,
    model: Any,
    state: State,
    *,
    keep: int,
    recipe_hash: str,
) -> None:
    """Write everything that a continuation needs; it appears whole or not at all.

    Every process writes its share; the first one adds the manifest, when all are done, and gives the folder
    its name. Older checkpoints beyond ``keep`` are removed. If there is one of this step, then it is
    damaged, was passed over when the run was continued, and is replaced.
    """
    final = run_dir / "checkpoints" / checkpoint_name(state.progress.step)
    folder = _agree_on_folder(accelerator, final)
    rank, processes = accelerator.process_index, accelerator.num_processes
    taken = snapshot(engine, model, _plain(state), rank=rank, processes=processes)
    with writing(final):
        write_snapshot(taken, folder)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        with writing(final):
            write_manifest(folder, {"step": state.progress.step, "recipe": recipe_hash})
        publish_folder(folder, final, replace=True)
        prune(final.parent, keep)
    accelerator.wait_for_everyone()


def load_checkpoint(
    run_dir: Path, accelerator: Accelerator, engine: Engine, model: Any
) -> tuple[State, list[str]]:
    """Restore the newest whole checkpoint.

    Returns:
        The state, fresh if the run has no checkpoint; and what was wrong with newer ones that were
        passed over.

    Raises:
        UserError: if there are checkpoints, and none is whole: starting over would hide the loss.
    """
    folder, problems = newest_valid(run_dir / "checkpoints")
    if folder is None and problems:
        raise UserError(
            f"every checkpoint of this run is damaged: {'; '.join(problems[:3])}",
            where=str(run_dir / "checkpoints"),
            hint="restore them from a backup, or start over in a new directory with `--fresh`",
        )
    if folder is None:
        return State(), []
    return _from_plain(restore(folder, engine, model, accelerator.process_index)), problems


def keep_best(run_dir: Path, accelerator: Accelerator, engine: Engine, model: Any, step: int) -> None:
    """Store the weights of the best measurement so far; those of an earlier one go at the next save."""
    final = run_dir / "best" / checkpoint_name(step)
    folder = _agree_on_folder(accelerator, final)
    rank = accelerator.process_index
    weights = own_weights(engine, model, rank=rank, processes=accelerator.num_processes)
    with writing(final):
        write_tensors(folder / shard_name("weights", rank), weights)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        with writing(final):
            write_manifest(folder, {"step": step})
        publish_folder(folder, final, replace=True)
    accelerator.wait_for_everyone()


def restore_best(run_dir: Path, engine: Engine, model: Any, step: int) -> None:
    """Put the weights of the best measurement back into the model.

    Raises:
        UserError: if they are damaged.
    """
    folder = run_dir / "best" / checkpoint_name(step)
    problems = verify(folder)
    if problems:
        raise UserError(
            f"the best weights, those of step {step}, are damaged: {problems[0]}",
            where=str(folder),
            hint="restore the folder from a backup, or start over in a new directory with `--fresh`",
        )
    restore_weights(folder, engine, model)


def drop_older_best(run_dir: Path, accelerator: Accelerator) -> None:
    """Keep the newest of the best, and those of which a checkpoint speaks: a run may go on from there."""
    if not accelerator.is_main_process or not (run_dir / "best").is_dir():
        return
    states = [folder / "state.json" for folder in checkpoints(run_dir / "checkpoints")]
    steps = [json.loads(path.read_text())["best_step"] for path in states if path.exists()]
    spoken_of = {checkpoint_name(step) for step in steps if step is not None}
    prune(run_dir / "best", 1, protected=spoken_of)


def _agree_on_folder(accelerator: Accelerator, final: Path) -> Path:
    from accelerate.utils import broadcast_object_list

    if accelerator.is_main_process:
        make_folder(final.parent)
    names = [str(staging_folder(final)) if accelerator.is_main_process else ""]
    return Path(broadcast_object_list(names)[0]) if accelerator.num_processes > 1 else Path(names[0])


def _plain(state: State) -> dict[str, Any]:
    return {
        "progress": asdict(state.progress),
        "history": [to_plain(measurement) for measurement in state.history],
        "verdict": asdict(state.verdict),
        "best_step": state.best_step,
        "micro": state.micro,
        "kept": kept_to_plain(state.kept),
    }


def _from_plain(plain: dict[str, Any]) -> State:
    return State(
        progress=Progress(**plain["progress"]),
        history=tuple(from_plain(each) for each in plain["history"]),
        verdict=Verdict(**plain["verdict"]),
        best_step=plain["best_step"],
        micro=plain.get("micro"),
        kept=kept_from_plain(plain.get("kept", {})),
    )
