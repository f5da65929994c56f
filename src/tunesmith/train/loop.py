"""The training loop, top to bottom."""

from __future__ import annotations

import time
from dataclasses import replace

from tunesmith.fault import fault
from tunesmith.judge.budget import spent
from tunesmith.judge.measurement import Progress, Verdict
from tunesmith.train.batches import hash_of_samples, step_batches
from tunesmith.train.log import Log
from tunesmith.train.measure import measure
from tunesmith.train.saving import save_checkpoint, settle
from tunesmith.train.schedule import due, learning_rate
from tunesmith.train.setup import Setup
from tunesmith.train.signals import StopFlag
from tunesmith.train.state import State
from tunesmith.train.step import train_step
from tunesmith.train.too_large import StepTooLarge, is_out_of_memory

NO_END = 10**9


def train(setup: Setup, state: State, log: Log, stop_flag: StopFlag) -> State:
    """Train until a rule says stop, the steps are done, or a signal asks to leave.

    Args:
        setup: the parts.
        state: where to begin: fresh, or from a checkpoint.
        log: takes every step and every measurement.
        stop_flag: set by a signal.

    Returns:
        The state at the end. Whatever ended it, a checkpoint of that state is on the disk.

    Raises:
        StepTooLarge: if a step ran out of memory; it was not taken.
    """
    recipe, started = setup.recipe, time.monotonic() - state.progress.seconds

    def clock() -> float:
        return time.monotonic() - started

    total_steps = setup.total_steps
    lengths = [int(example["length"]) for example in setup.train]
    setup.engine.model.train()

    # 0. The baseline: what the model can do before it learns anything; or what a signal cut short.
    if state.unmeasured or (not state.history and recipe.eval.baseline):
        fault("baseline")
        state = measure_and_decide(setup, state, log)
        if state.verdict.stop:
            save(setup, state)
        if state.preempted:
            return state

    steps = range(state.progress.step, total_steps or NO_END)
    for batches in step_batches(
        setup.train,
        setup.task,
        setup.division,
        samples_of=setup.samples_of,
        steps=steps,
        rank=setup.accelerator.process_index,
        workers=recipe.data.workers,
        seed=recipe.run.seed,
    ):
        if state.verdict.stop:
            break
        setup.pulse.enter("train", state.progress.step + 1)
        fault("data")

        # 1. Learn from one global batch.
        before, rate = state.progress, learning_rate(state.progress.step, total_steps, recipe.optimizer)
        try:
            result = train_step(
                setup.accelerator,
                setup.engine,
                setup.task,
                batches,
                learning_rate=rate,
                clip=recipe.optimizer.clip,
                autocast=setup.autocast,
                clock=clock,
                stop_asked=stop_flag.asked,
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise StepTooLarge(state) from error
        samples = setup.samples_of(before.step)
        state = replace(
            state,
            progress=Progress(
                step=before.step + 1,
                epoch=(before.step + 1) * setup.division.size / len(setup.train),
                tokens=before.tokens + sum(lengths[index] for index in samples),
                seconds=result.seconds,
            ),
        )
        fault("log")
        log.step(state.progress, result, rate, hash_of_samples([setup.train[i]["id"] for i in samples]))

        # 2. A value that is not finite ends the run; the weights were left as they were.
        if not result.updated and not result.rescaled:
            reason = f"loss {result.loss} and gradient norm {result.grad_norm} at step {state.progress.step}"
            state = replace(state, verdict=Verdict(decision="stop", rule="non-finite", reason=reason))
            save(setup, state)
            break

        # 3. Measure and decide, when it is due, and before the run ends.
        if due(recipe.eval.every, before, state.progress) or is_last(setup, state):
            state = measure_and_decide(setup, state, log)

        # 4. Save, when it is due; and when asked to leave, leave.
        save_every = recipe.run.save_every or recipe.eval.every
        if result.stop_asked and not state.verdict.stop:
            state = replace(state, preempted=True)
        if due(save_every, before, state.progress) or state.verdict.stop or state.preempted:
            save(setup, state)
        if state.preempted:
            break
    settle(setup.saver, setup.accelerator)
    return state


def is_last(setup: Setup, state: State) -> bool:
    """Whether no step comes after this one, whatever is measured."""
    done, recipe = state.progress.step, setup.recipe
    return done > 0 and (done == setup.total_steps or spent(state.progress, recipe.stop) is not None)


def measure_and_decide(setup: Setup, state: State, log: Log) -> State:
    """Measure; after the last step the run ends, whatever the rules make of it."""
    state = measure(setup, state, log)
    if not is_last(setup, state) or state.verdict.stop or state.preempted:
        return state
    reason = f"all {state.progress.step} steps are done"
    return replace(state, verdict=Verdict(decision="stop", rule="budget", reason=reason))


def save(setup: Setup, state: State) -> None:
    """Hand a checkpoint to those who write it."""
    setup.pulse.enter("save", state.progress.step)
    save_checkpoint(
        setup.saver,
        setup.run_dir,
        setup.accelerator,
        setup.engine,
        setup.bare,
        state,
        keep=setup.recipe.run.keep,
        recipe_hash=setup.recipe_hash,
    )
