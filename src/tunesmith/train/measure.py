"""Measure and decide: one evaluation, its verdict, and whether its weights are kept as the best."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.judge.best import best_index
from tunesmith.judge.cadence import next_look
from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import Progress
from tunesmith.judge.references import keep
from tunesmith.train.accelerator import from_main
from tunesmith.train.choose import score_test_baseline
from tunesmith.train.log import Log
from tunesmith.train.look import look
from tunesmith.train.saving import keep_best
from tunesmith.train.schedule import due
from tunesmith.train.setup import Setup
from tunesmith.train.signals import Leaving
from tunesmith.train.state import State


def measure(setup: Setup, state: State, log: Log) -> State:
    """Evaluate, decide, and keep the weights if they are the best so far.

    If a signal asks to leave meanwhile, the evaluation is given up: the state then says that it is due.
    """
    setup.pulse.enter("evaluate", state.progress.step)
    try:
        return _measured(setup, replace(state, unmeasured=False), log)
    except Leaving:
        return replace(state, unmeasured=True, preempted=True)


def _measured(setup: Setup, state: State, log: Log) -> State:
    rules = setup.recipe.stop
    first = not state.history and state.progress.step == 0
    with log.evaluating():
        beside = score_test_baseline(setup) if first else 0.0
        evaluation, newest = look(setup, state.progress, state.history, state.kept)
    seconds = evaluation.measurement.seconds + beside
    measurement = replace(evaluation.measurement, train_loss=state.train_loss, seconds=seconds)
    evaluation = replace(evaluation, measurement=measurement)
    state = state.measured(measurement)
    kept = keep(state.kept, newest, state.history, rules)
    state = replace(state, verdict=decide(state.history, rules), kept=kept)
    best = state.history[best_index(state.history, rules)].progress.step
    is_best = best == state.progress.step
    if is_best:
        keep_best(setup.saver, setup.run_dir, setup.accelerator, setup.engine, setup.bare, best)
    log.measurement(evaluation, state.verdict, is_best=is_best)
    return replace(state, best_step=best, look=_next_look(setup, state))


def is_due(setup: Setup, state: State, before: Progress) -> bool:
    """Whether it is time to measure, after the step that led from ``before`` to where the run is now."""
    every = setup.recipe.eval.every
    if not every.auto:
        return due(every, before, state.progress)
    planned = state.look if state.look is not None else _next_look(setup, state)
    return planned is not None and state.progress.step >= planned


def _next_look(setup: Setup, state: State) -> int | None:
    """The step of the next evaluation, where the judge chooses it; it is stored with the state.

    It hangs on measured times, so the first process chooses for all.
    """
    if not setup.recipe.eval.every.auto:
        return None
    return int(from_main(setup.accelerator, next_look(state.history, setup.total_steps)))
