"""What is said after the explanation of a run's end: steps left out, averages tried, the test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesmith.judge.selection.best import primary_metric
from tunesmith.judge.statistics.paired import p_better
from tunesmith.metrics.names import bare_metric
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import StopRule
from tunesmith.train.deliver.select_weights import AverageTrial, FinalWeights
from tunesmith.train.evaluate.example_scores import whole_set_metric
from tunesmith.train.resume.state import State


def afterwords(chosen: FinalWeights, rules: Sequence[StopRule]) -> Iterator[str]:
    """A sentence for a finished model that is not what was measured, each average, and the test split."""
    if chosen.proof is not None and chosen.proof.agrees is False:
        yield f"WARNING: the finished model, opened again, is not the measured one: {chosen.proof.trouble}."
    metric = whole_set_metric(primary_metric(rules))
    for one in chosen.tried:
        yield _of_average(one, metric)
    if chosen.test is None:
        return
    name = bare_metric(metric)
    value, ends = chosen.test.metrics.get(name), chosen.test.intervals.get(name)
    if value is not None:
        between = f"95 % interval {show(ends[0])} to {show(ends[1])} over " if ends is not None else ""
        unseen = seen_words(chosen.test_before)
        rows = f"{between}{chosen.test.examples:,} examples"
        yield f"On the test split, {unseen}, {name} is {show(value)} ({rows})."


def seen_words(before: Sequence[int]) -> str:
    """Whether decisions may have seen the test split: they have where the run had told its scores before."""
    if not before:
        return "which no decision saw"
    steps = f"step {before[0]}" if len(before) == 1 else f"steps {', '.join(map(str, before))}"
    return f"whose scores were told when the run had ended at {steps}, so that going on was decided by them"


def steps_beyond(state: State) -> int:
    """How far training had gone on when an evaluation beside it ended the run."""
    judged = state.verdict.stop and state.verdict.rule != "non-finite" and not state.preempted
    if not judged or not state.history or not state.history[-1].beside:
        return 0
    return state.progress.step - state.history[-1].step


def left_behind(state: State) -> Iterator[str]:
    """A sentence if training had gone on."""
    beyond = steps_beyond(state)
    if beyond:
        steps = f"{beyond} steps" if beyond > 1 else "1 step"
        yield f"Training had gone on for {steps} while that evaluation was made beside it; they are left out."


def _of_average(one: AverageTrial, metric: str) -> str:
    value = one.measurement.metrics.get(metric)
    reached = f"{metric} {show(value)}" if value is not None else f"no {metric}"
    if one.pair is None:
        return f"An average of weights ({one.name}) reaches {reached}; it is not used: nothing compares it."
    chance = f"p = {p_better(one.pair):.2g} in a paired test"
    if one.used:
        return f"The finished model has an average of weights ({one.name}): {reached}, better with {chance}."
    return f"An average of weights ({one.name}) is not surely better: {reached}, {chance}; it is not used."
