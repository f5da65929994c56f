"""Measure and decide: one evaluation, its verdict, and whether its weights are kept as the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from tunesmith.judge.comparisons import keep
from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import Progress
from tunesmith.judge.notes import notes
from tunesmith.judge.schedule.eval_schedule import next_eval_step
from tunesmith.judge.selection.best import best_index
from tunesmith.judge.statistics.example_scores import Scores
from tunesmith.plan.schedule import due, warmup_steps
from tunesmith.recipe.schema.stop import leaves
from tunesmith.report.score_files import read_scores, write_scores
from tunesmith.train.async_eval.handover import collect_results, keep_request, request_evaluation, wait
from tunesmith.train.async_eval.mailbox import EvalResult
from tunesmith.train.context import Setup
from tunesmith.train.deliver.select_weights import TEST_BASELINE, score_test_baseline
from tunesmith.train.engine.process import from_main
from tunesmith.train.evaluate.evaluation import evaluate, paired
from tunesmith.train.evaluate.score import Evaluation
from tunesmith.train.log import Log
from tunesmith.train.resume.save import keep_best
from tunesmith.train.resume.state import State
from tunesmith.world.signals import Leaving


def measure(setup: Setup, state: State, log: Log, *, last: bool) -> State:
    """Evaluate, decide, and keep the weights if they are the best so far.

    Beside training, the weights are handed over, and what has been scored meanwhile is judged.

    If a signal asks to leave meanwhile, the evaluation is given up: the state then says that it is due.

    Args:
        setup: the parts.
        state: of the run.
        log: takes the measurement.
        last: whether the run ends after this one, so that nothing may be left under way.
    """
    setup.process.pulse.enter("evaluate", state.progress.step)
    state = replace(state, unmeasured=False)
    if setup.handover is not None:
        state = request_evaluation(setup.checkpointer, setup.handover, state)
        most = 0 if last else setup.handover.ahead
        return wait(setup.process, setup.handover, state, _judge_of(setup, log), most=most)
    try:
        return _measured(setup, state, log)
    except Leaving:
        return replace(state, unmeasured=True, preempted=True)


def take_scored(setup: Setup, state: State, log: Log) -> State:
    """Judge what has been scored beside training."""
    assert setup.handover is not None, "nothing is scored beside training"
    return collect_results(setup.process, setup.handover, state, _judge_of(setup, log))


def _judge_of(setup: Setup, log: Log) -> Callable[[State, EvalResult], State]:
    sets, checkpointer = setup.evaluator.eval_sets, setup.checkpointer

    def judge(state: State, result: EvalResult) -> State:
        evaluation = result.evaluation
        measurement = replace(evaluation.measurement, paired=paired(state.kept, result.newest, sets))
        if result.test_scores is not None and setup.process.is_main:
            write_scores(checkpointer.run_dir / TEST_BASELINE, read_scores(result.test_scores))
        return _judged(
            setup,
            state,
            replace(evaluation, measurement=measurement),
            result.newest,
            log,
            keep_as_best=partial(keep_request, checkpointer),
        )

    return judge


def _measured(setup: Setup, state: State, log: Log) -> State:
    first = not state.history and state.progress.step == 0
    evaluator, checkpointer = setup.evaluator, setup.checkpointer
    with log.evaluating():
        beside = score_test_baseline(evaluator, checkpointer.run_dir / TEST_BASELINE) if first else 0.0
        evaluation, newest = evaluate(evaluator, state.progress, state.history, state.kept)
    seconds = evaluation.measurement.seconds + beside
    measurement = replace(evaluation.measurement, train_loss=state.train_loss, seconds=seconds)
    evaluation = replace(evaluation, measurement=measurement)
    keep_as_best = partial(keep_best, checkpointer)
    return _judged(setup, state.looked(), evaluation, newest, log, keep_as_best=keep_as_best)


def _judged(
    setup: Setup,
    state: State,
    evaluation: Evaluation,
    newest: Mapping[str, Scores],
    log: Log,
    *,
    keep_as_best: Callable[[int], None],
) -> State:
    """The state with one more measurement, what the rules make of it, and the best weights kept."""
    rules, step = setup.recipe.stop, evaluation.measurement.step
    state = state.measured(evaluation.measurement)
    kept = keep(state.kept, newest, state.history, rules)
    state = replace(state, verdict=decide(state.history, rules), kept=kept)
    best = state.history[best_index(state.history, leaves(rules))].step
    if best == step:
        keep_as_best(step)
    said = notes(state.history, rules)
    log.measurement(evaluation, state.verdict, best_step=best, notes=said)
    return replace(state, best_step=best, look=planned_evaluation_step(setup, state))


def is_due(setup: Setup, state: State, before: Progress) -> bool:
    """Whether it is time to measure, after the step that led from ``before`` to where the run is now."""
    every = setup.recipe.eval.every
    if not every.auto:
        return due(every, before, state.progress)
    planned = state.look if state.look is not None else planned_evaluation_step(setup, state)
    return planned is not None and state.progress.step >= planned


def planned_evaluation_step(setup: Setup, state: State) -> int | None:
    """The step of the next evaluation, where the judge chooses it; it is stored with the state.

    It hangs on measured times, so the first process chooses for all.
    """
    if not setup.recipe.eval.every.auto:
        return None
    warmup = warmup_steps(setup.total_steps, setup.recipe.optimizer.warmup)
    planned = next_eval_step(state.history, setup.total_steps, warmup=warmup)
    return int(from_main(setup.process.accelerator, planned))
