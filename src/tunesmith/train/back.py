"""Going back to a checkpoint when the numbers went wrong."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.checkpoint.atomic import remove_folder
from tunesmith.checkpoint.journal import append_record, keep_evaluations, truncate_after
from tunesmith.checkpoint.manifest import checkpoint_step, checkpoints
from tunesmith.judge.measurement import Verdict
from tunesmith.judge.trouble import returned
from tunesmith.train.loading import load_checkpoint
from tunesmith.train.looks import drop_looks
from tunesmith.train.rechosen import judged_again
from tunesmith.train.saving import settle
from tunesmith.train.setup import Setup
from tunesmith.train.state import State


class WentWrong(Exception):
    """The numbers of a step went wrong, and the recipe wants to go back.

    Attributes:
        state: of the run after that step.
        reason: what was wrong.
    """

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


def broke_down(reason: str) -> Verdict:
    """The verdict of a run whose numbers went wrong."""
    return Verdict(decision="stop", rule="non-finite", reason=reason)


def go_back(setup: Setup, wrong: WentWrong) -> State:
    """Restore an earlier checkpoint, with a lower learning rate; an older one each time until it helps.

    Where there is none, the state says stop. Whoever calls this saves the state before going on.
    """
    settle(setup.saver, setup.accelerator)
    trouble, at = wrong.state.trouble, wrong.state.progress.step
    place = (setup.run_dir, setup.accelerator, setup.engine, setup.bare, setup.mean)
    earlier = min(trouble.returns, default=None)
    state, _ = load_checkpoint(*place, before=earlier)
    if earlier is not None and not _is_saved(state):
        state, _ = load_checkpoint(*place)
    if not _is_saved(state):
        return replace(
            wrong.state, verdict=broke_down(f"{wrong.reason}; there is no checkpoint to go back to")
        )
    state, _ = judged_again(setup, state)  # other rules may have written the checkpoint
    to = state.progress.step
    return replace(state, trouble=returned(state.trouble, trouble, setup.recipe.safety, to=to, at=at))


def forget_what_came_after(setup: Setup, wrong: WentWrong, state: State) -> None:
    """Remove later checkpoints and lines of the journal, once the state after the return is saved.

    Before that a kill would bring the old learning rate back, and after it a checkpoint that was given up.
    """
    if setup.accelerator.is_main_process:
        to = state.progress.step
        for folder in checkpoints(setup.run_dir / "checkpoints"):
            if (checkpoint_step(folder) or 0) > to:
                remove_folder(folder)
        drop_looks(setup.run_dir, state.awaited)
        journal = setup.run_dir / "metrics.jsonl"
        truncate_after(journal, to)
        keep_evaluations(journal, {one.step for one in state.history})
        facts = {"from": wrong.state.progress.step, "reason": wrong.reason, "factor": state.trouble.factor}
        append_record(journal, {"kind": "back", "step": to, **facts}, durable=True)
    setup.accelerator.wait_for_everyone()


def _is_saved(state: State) -> bool:
    return bool(state.progress.step or state.history)
