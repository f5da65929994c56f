"""The training loop, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tunesmith.data.row_order import hash_of_samples
from tunesmith.fault import fault
from tunesmith.judge.instability import StepOutcome, after_step, bound_of
from tunesmith.judge.measurement import Verdict
from tunesmith.plan.schedule import closing_verdict, due, learning_rate
from tunesmith.recipe.schema.run import Safety
from tunesmith.train.batches import step_batches
from tunesmith.train.context import Setup
from tunesmith.train.engine.averaging import update_average
from tunesmith.train.inference.roll_out import roll_out
from tunesmith.train.log import Log
from tunesmith.train.measure import is_due, measure, take_scored
from tunesmith.train.record.cost import advanced, open_energy
from tunesmith.train.recover import RollbackRequested, StepTooLarge, is_out_of_memory, stop_as_failed
from tunesmith.train.resume.save import save_checkpoint, wait_for_saver
from tunesmith.train.resume.state import State
from tunesmith.train.step import StepResult, train_step
from tunesmith.train.supervise.interrupts import Interrupts

NO_END = 10**9


# The loop stands in one place, to be read from top to bottom.
def train(  # noqa: PLR0912, PLR0915
    setup: Setup, state: State, log: Log, asked: Callable[[], Interrupts]
) -> State:
    """Train until a rule says stop, the steps are done, or a signal asks to leave.

    Args:
        setup: the parts.
        state: where to begin: fresh, or from a checkpoint.
        log: takes every step and every measurement.
        asked: tells what this process is asked for.

    Returns:
        The state at the end. Whatever ended it, a checkpoint of that state is on the disk.

    Raises:
        StepTooLarge: if a step ran out of memory; it was not taken.
        WentWrong: if the recipe wants to go back to a checkpoint.
        NotScored: if evaluations are made beside training, and nobody makes them.
    """
    recipe, started = setup.recipe, time.monotonic() - state.progress.seconds

    def clock() -> float:
        return time.monotonic() - started

    process, learner, total_steps = setup.process, setup.learner, setup.total_steps
    lengths = [int(example["length"]) for example in setup.train]
    energy = open_energy(process.accelerator)
    learner.engine.model.train()

    # 0. The baseline: what the model can do before it learns anything; or what a signal cut short.
    if state.unmeasured or (not state.history and not state.awaited and recipe.eval.baseline):
        fault("baseline")
        done = closing_verdict(state.progress, total_steps, recipe.stop) if state.progress.step else None
        state = measure_and_decide(setup, state, log, done)
        if state.verdict.stop:
            save_state(setup, state)
        if state.preempted:
            return state

    steps = range(state.progress.step, total_steps or NO_END)
    for waiting in step_batches(
        setup.train,
        learner.task,
        setup.division,
        order=setup.order,
        steps=steps,
        rank=process.mesh.dp_rank,
        workers=recipe.data.workers,
        seed=recipe.run.seed,
    ):
        if state.verdict.stop:
            break
        process.pulse.enter("train", state.progress.step + 1)
        fault("data")

        # 1. Learn from one global batch, which some tasks first make with the model as it is.
        before, safety = state.progress, recipe.safety
        rate = learning_rate(before.step, total_steps, recipe.optimizer) * state.trouble.factor
        try:
            batches = roll_out(process, learner, waiting, seed=recipe.run.seed, number=before.step)
            result = train_step(
                process,
                learner,
                batches,
                learning_rate=rate,
                clip=recipe.optimizer.clip,
                clock=clock,
                asked=asked(),
                loss_bound=bound_of(state.trouble, safety),
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise StepTooLarge(state) from error
        # Tokens count by places: what is set in tokens falls on the same step whatever is left out.
        places = setup.order.places(before.step)
        state = replace(
            state,
            progress=advanced(
                before,
                epoch=(before.step + 1) * setup.division.size / len(setup.train),
                tokens=sum(lengths[index] for index in places),
                seconds=result.seconds,
                joules=energy(),
                devices=process.accelerator.num_processes,
            ),
            losses=state.losses + (result.loss if result.updated else 0.0),
            losses_of=state.losses_of + int(result.updated),
        )
        fault("log")
        learnt = [setup.train[index]["id"] for index in places if index not in setup.order.excluded]
        log.step(state.progress, result, rate, hash_of_samples(learnt))

        update_average(learner.mean, learner.model, state.progress.step, updated=result.updated)

        # 2. Numbers that went wrong: the weights were left as they were, and the recipe says what next.
        outcome = outcome_of(state, safety, result)
        state = replace(state, trouble=outcome.trouble)
        log.outcome(state.progress.step, outcome)
        if outcome.action == "back":
            raise RollbackRequested(state, outcome.reason)
        if outcome.action == "stop":
            state = replace(state, verdict=stop_as_failed(outcome.reason))
            save_state(setup, state)
            break

        # 3. Measure and decide, when it is due, and before the run ends.
        closing = closing_verdict(state.progress, total_steps, recipe.stop, asked_to_end=result.asked.end)
        looked = closing is not None or is_due(setup, state, before)
        if looked:
            state = measure_and_decide(setup, state, log, closing)
        elif result.asked.scored:
            state = take_scored(setup, state, log)

        # 4. Save, when it is due; and when asked to leave, leave.
        every = recipe.run.save_every
        saves = looked if every is None else due(every, before, state.progress)
        if result.asked.leave and not state.verdict.stop:
            state = replace(state, preempted=True)
        state = _with_soup(setup, state, due=saves or state.verdict.stop)
        if saves or result.asked.save or state.verdict.stop or state.preempted:
            save_state(setup, state, asked_for=result.asked.save)
        if state.preempted:
            break
    wait_for_saver(setup.checkpointer)
    return state


def outcome_of(state: State, safety: Safety, result: StepResult) -> StepOutcome:
    """What the recipe wants done after a step; one of which every row is left out tells nothing."""
    if not result.supervised:
        return StepOutcome("go on", state.trouble)
    return after_step(
        state.trouble,
        safety,
        step=state.progress.step,
        loss=result.loss,
        grad_norm=result.grad_norm,
        finite=result.finite,
    )


def _with_soup(setup: Setup, state: State, *, due: bool) -> State:
    """The steps of the checkpoints to be averaged, with this one's, but for one that only a signal made."""
    average = setup.recipe.run.average
    if not due or average is None or average.soup is None:
        return state
    return replace(state, soup=(*state.soup, state.progress.step)[-average.soup :])


def measure_and_decide(setup: Setup, state: State, log: Log, closing: Verdict | None) -> State:
    """Measure; where the run is about to close, it ends with that verdict, whatever the rules make of it."""
    state = measure(setup, state, log, last=closing is not None)
    if closing is None or state.verdict.stop or state.preempted:
        return state
    return replace(state, verdict=closing)


def save_state(setup: Setup, state: State, *, asked_for: bool = False) -> None:
    """Hand a checkpoint to those who write it."""
    setup.process.pulse.enter("save", state.progress.step)
    save_checkpoint(setup.checkpointer, state, asked_for=asked_for)
