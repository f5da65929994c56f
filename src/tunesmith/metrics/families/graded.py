"""Answers looked at by other means than their reference: a grader gives each its value by name."""

from __future__ import annotations

import math
from collections.abc import Callable

from tunesmith.metrics.metric import Metric, ScoredRow


def value_given(name: str) -> Callable[[ScoredRow], float]:
    """What takes an example's own value by a name; not a number where it has none."""
    return lambda row: float(row.given.get(name, math.nan))


METRICS = (
    *(
        Metric(name=name, needs="given", each=value_given(name), proportion=True, meaning=meaning)
        for name, meaning in (
            ("json_valid", "share of answers that are JSON and nothing else"),
            ("json_schema", "share of answers that are JSON and fit `eval.json_schema`"),
            ("regex", "share of answers that match `eval.regex` from end to end"),
            ("code", "share of answers that run and do what they should"),
        )
    ),
    Metric(
        name="judge",
        needs="given",
        each=value_given("judge"),
        meaning="mean score by the model of `eval.judge`, as a share of its scale",
    ),
)
