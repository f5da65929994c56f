"""What is said after the explanation of a run's end: averages that were tried, and the test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunesmith.judge.best import primary_metric
from tunesmith.judge.paired import p_better
from tunesmith.judge.show import show
from tunesmith.metrics.names import bare_metric
from tunesmith.recipe.schema import StopRule
from tunesmith.train.choose import Chosen, Tried
from tunesmith.train.rules import comparable


def afterwords(chosen: Chosen, rules: Sequence[StopRule]) -> Iterator[str]:
    """A sentence for each average, and one for the test split."""
    metric = comparable(primary_metric(rules))
    for one in chosen.tried:
        yield _of_average(one, metric)
    if chosen.test is None:
        return
    name = bare_metric(metric)
    value, ends = chosen.test.metrics.get(name), chosen.test.intervals.get(name)
    if value is not None:
        between = f"95 % interval {show(ends[0])} to {show(ends[1])} over " if ends is not None else ""
        yield (
            f"On the test split, which no decision saw, {name} is {show(value)} "
            f"({between}{chosen.test.examples:,} examples)."
        )


def _of_average(one: Tried, metric: str) -> str:
    value = one.measurement.metrics.get(metric)
    reached = f"{metric} {show(value)}" if value is not None else f"no {metric}"
    if one.pair is None:
        return f"An average of weights ({one.name}) reaches {reached}; it is not used: nothing compares it."
    chance = f"p = {p_better(one.pair):.2g} in a paired test"
    if one.used:
        return f"The finished model has an average of weights ({one.name}): {reached}, better with {chance}."
    return f"An average of weights ({one.name}) is not surely better: {reached}, {chance}; it is not used."
