"""Evaluation beside training, as those who train see it: weights are handed over, scores come back.

What is decided depends on what was measured at which step and not on when it became known. So the verdicts
and the weights that are kept are those of a run that measures by itself; only training may have gone on for
some steps beyond the end, which are left out.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

from tunesmith.checkpoint.atomic import link_or_copy, publish_folder, writing
from tunesmith.checkpoint.manifest import checkpoint_name
from tunesmith.checkpoint.names import temporary_path
from tunesmith.errors import UserError
from tunesmith.train.async_eval import mailbox
from tunesmith.train.async_eval.pending import Handover, ScorerUnavailable
from tunesmith.train.engine.process import Process, from_main, on_main
from tunesmith.train.resume.checkpointer import Checkpointer
from tunesmith.train.resume.save import save_weights
from tunesmith.train.resume.state import State
from tunesmith.train.supervise.heartbeat import all_gather_objects

PAUSE = 0.1
"""Seconds between two looks while nothing else is to be done."""
Judge = Callable[[State, mailbox.EvalResult], State]


def request_evaluation(checkpointer: Checkpointer, handover: Handover, state: State) -> State:
    """Let the weights as they are be written for those who score; once a step."""
    step = state.progress.step
    if step not in state.awaited and all(one.step != step for one in state.history):
        _publish(checkpointer, state)
        state = replace(state, awaited=(*state.awaited, step)).looked()
    handover.awaited = state.awaited[0] if state.awaited else None
    return state


def _publish(checkpointer: Checkpointer, state: State) -> None:
    step, mark = state.progress.step, from_main(checkpointer.process.accelerator, secrets.token_hex(8))
    save_weights(
        checkpointer,
        kind=f"look of step {step}",  # each its own, since none may be given up for a newer one
        final=mailbox.request_folder(checkpointer.run_dir, step),
        about=mailbox.describe_request(mark, state.progress, state.train_loss),
    )


def collect_results(process: Process, handover: Handover, state: State, judge: Judge) -> State:
    """Judge what has been scored meanwhile, in the order of the steps, until a rule says stop."""
    while state.awaited and not state.verdict.stop:
        step = state.awaited[0]
        result = from_main(
            process.accelerator,
            mailbox.read_result(handover.run_dir, step) if process.is_main else None,
        )
        if result is None:
            break
        handover.scorer.scored()
        state = judge(replace(state, awaited=state.awaited[1:]), result)
    if state.verdict.stop:
        state = replace(state, awaited=())
    handover.awaited = state.awaited[0] if state.awaited else None
    return state


def wait(process: Process, handover: Handover, state: State, judge: Judge, *, most: int) -> State:
    """Wait until at most so many looks are under way, or a rule says stop.

    If a signal asks to leave meanwhile, the state says that there is still something to be judged.

    Raises:
        NotScored: if nobody scores.
    """
    state = collect_results(process, handover, state, judge)
    while len(state.awaited) > most and not state.verdict.stop:
        if any(all_gather_objects(process.accelerator, [process.pulse.flag.asked])):
            return replace(state, unmeasured=True, preempted=True)
        try:
            on_main(process.accelerator, handover.scorer.check)
        except UserError as trouble:
            raise ScorerUnavailable(replace(state, unmeasured=True), trouble) from trouble
        process.pulse.beat()
        time.sleep(PAUSE)
        state = collect_results(process, handover, state, judge)
    return state


def keep_request(checkpointer: Checkpointer, step: int) -> None:
    """Keep the weights of a look as the best; they are linked, so that this costs no space."""
    if checkpointer.process.is_main:
        source = mailbox.request_folder(checkpointer.run_dir, step)
        final = checkpointer.run_dir / "best" / checkpoint_name(step)
        folder = temporary_path(final)
        with writing(final):
            final.parent.mkdir(exist_ok=True)
            shutil.copytree(source, folder, copy_function=link_or_copy)
            publish_folder(folder, final, replace=True)
    checkpointer.process.accelerator.wait_for_everyone()


def restore_queue(checkpointer: Checkpointer, state: State, *, inline: bool) -> tuple[State, list[str]]:
    """Put the looks in order when a run goes on from a checkpoint; the same on every process.

    Those that the checkpoint waits for stay. One that was never written is handed over again if the run
    still has its weights, and left out otherwise.

    Args:
        checkpointer: knows the run's directory.
        state: from the checkpoint.
        inline: whether the run measures by itself now.

    Returns:
        The state, and what had to be left out, in words.
    """
    run_dir = checkpointer.run_dir

    def sort_out() -> list[int]:
        mailbox.drop_requests(run_dir, state.awaited)
        return [step for step in state.awaited if mailbox.read_request(run_dir, step) is None]

    lost = on_main(checkpointer.process.accelerator, sort_out)
    if inline:  # now it is, by `--accept-changes`
        lost = list(state.awaited)
    awaited = tuple(step for step in state.awaited if step not in lost)
    again = state.progress.step in lost
    told = [
        f"the weights of step {step}, which were to be scored beside training, are gone, and left out"
        for step in lost
        if step != state.progress.step
    ]
    return replace(state, awaited=awaited, unmeasured=state.unmeasured or again), told
