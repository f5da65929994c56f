"""Measure and decide: one evaluation, its verdict, and whether its weights are kept as the best."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.judge.best import best_index
from tunesmith.judge.decide import decide
from tunesmith.judge.references import comparisons, keep
from tunesmith.train.evaluate import evaluate
from tunesmith.train.log import Log
from tunesmith.train.rules import scores_by_metric
from tunesmith.train.saving import keep_best
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
    with log.evaluating():
        evaluation = evaluate(
            setup.accelerator,
            setup.bare,
            setup.task,
            setup.eval,
            metrics=setup.metrics,
            progress=state.progress,
            autocast=setup.autocast,
            sharded=setup.engine.stage == 3,
            pulse=setup.pulse,
        )
    newest = scores_by_metric(setup.recipe, evaluation.scored, state.progress.step)
    state = state.measured(replace(evaluation.measurement, paired=comparisons(state.kept, newest)))
    kept = keep(state.kept, newest, state.history, rules)
    state = replace(state, verdict=decide(state.history, rules), kept=kept)
    best = state.history[best_index(state.history, rules)].progress.step
    is_best = best == state.progress.step
    if is_best:
        keep_best(setup.saver, setup.run_dir, setup.accelerator, setup.engine, setup.bare, best)
    log.measurement(evaluation, state.verdict, is_best=is_best)
    return replace(state, best_step=best)
