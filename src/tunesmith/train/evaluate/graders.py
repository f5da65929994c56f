"""Metrics that look at each answer by other means than its reference: made for a recipe, and applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from accelerate import Accelerator

from tunesmith.data.eval_splits import GroupColumns
from tunesmith.metrics.code import passes, same_output
from tunesmith.metrics.compute import each_value, find_metric
from tunesmith.metrics.json_schema import json_fits, json_valid
from tunesmith.metrics.names import USER_PREFIX
from tunesmith.metrics.sandbox import Limits, can_be_apart
from tunesmith.pattern import TooSlow, matched
from tunesmith.recipe.schema.eval import Code, Eval
from tunesmith.tasks.task import Scored
from tunesmith.train.engine.process import on_main
from tunesmith.train.evaluate.llm_judge import judge_answers, probe
from tunesmith.world.signals import Leaving
from tunesmith.world.threads import usable_cores

Grader = Callable[[Sequence[Scored]], list[float]]


def make_graders(
    section: Eval, marks: GroupColumns, run_dir: Path, look: Callable[[], None] = lambda: None
) -> Mapping[str, Grader]:
    """Name of a metric to what gives each example its value.

    Args:
        section: the recipe's ``eval``.
        marks: with the column of tests, if ``eval.code`` names one.
        run_dir: where a judge's replies are kept.
        look: called while a judge is waited for; may raise to leave.
    """
    by_model = (
        {"judge": partial(judge_answers, section.judge, run_dir, look=look)}
        if section.judge is not None
        else {}
    )
    return {
        **by_model,
        "json_valid": lambda scored: [json_valid(one.prediction) for one in scored],
        "json_schema": partial(
            _in_time, "json_schema", lambda answer: json_fits(answer, section.json_schema)
        ),
        "regex": partial(_in_time, "regex", partial(_matches, section.regex or "")),
        "code": partial(_code, section.code, marks),
    }


def refuse_judge(section: Eval) -> None:
    """Make sure that a judge answers, and that code can be kept apart, or say so.

    Raises:
        UserError: if the judge cannot be used.
    """
    if section.judge is not None:
        probe(section.judge)
    if "code" in section.metrics and not can_be_apart():
        print(
            "metric `code`: this system allows no namespaces, so that programs can reach the network",
            flush=True,
        )


def graded(
    accelerator: Accelerator, graders: Mapping[str, Grader], scored: list[Scored], metrics: Sequence[str]
) -> list[Scored]:
    """The scores with the values of those metrics; the first process finds them for all.

    Raises:
        UserError: what the first process raised, on every process.
        Leaving: in all of them, if it was asked to leave meanwhile.
    """
    graders = {**graders, **_of_user(metrics)}
    names = [name for name in dict.fromkeys(metrics) if name in graders]
    if not names:
        return scored
    found = on_main(accelerator, lambda: _values(graders, names, scored))
    if found is None:
        raise Leaving
    return [
        replace(one, given={**one.given, **{name: values[index] for name, values in found.items()}})
        for index, one in enumerate(scored)
    ]


def _of_user(metrics: Sequence[str]) -> dict[str, Grader]:
    """The user's own metrics that are means over examples: the first process asks for each example once."""
    own = [find_metric(name) for name in dict.fromkeys(metrics) if name.startswith(USER_PREFIX)]
    return {metric.name: partial(each_value, metric) for metric in own if metric.each is not None}


def _values(
    graders: Mapping[str, Grader], names: Sequence[str], scored: list[Scored]
) -> dict[str, list[float]] | None:
    """The values of each metric; ``None`` if this process was asked to leave, which the others must hear."""
    try:
        return {name: graders[name](scored) for name in names}
    except Leaving:
        return None


def _matches(pattern: str, answer: str) -> float:
    return float(matched(pattern, answer.strip(), dotall=True) is not None)


def _in_time(name: str, value_of: Callable[[str], float], scored: Sequence[Scored]) -> list[float]:
    """Each answer's value; not a number from the first on with which a pattern does not come to an end."""
    values: list[float] = []
    try:
        for one in scored:
            values.append(value_of(one.prediction))
    except TooSlow as slow:
        print(f"{slow}\nmetric `{name}` is unknown for this evaluation", flush=True)
        values += [math.nan] * (len(scored) - len(values))
    return values


def _code(section: Code, marks: GroupColumns, scored: Sequence[Scored]) -> list[float]:
    limits = Limits(seconds=section.time, memory=section.memory)
    answers = [str(one.prediction) for one in scored]
    if section.tests is None:
        return same_output(answers, [str(one.reference) for one in scored], limits, usable_cores())
    return passes(answers, [marks[one.id][section.tests] for one in scored], limits, usable_cores())
