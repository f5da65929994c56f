from __future__ import annotations

import pytest

from tunesmith.judge.schedule.planned_evaluations import (
    Length,
    PlannedEvaluations,
    planned_evaluations,
    silent_rules,
)
from tunesmith.recipe.schema.quantities import Every, parse_every
from tunesmith.recipe.schema.stop import StopRule


def every(text: str) -> Every:
    return Every.model_validate(parse_every(text))


KNOWN = Length(steps=100, epoch_steps=40.0, step_tokens=10.0)


@pytest.mark.parametrize(
    ("often", "length", "looks"),
    [
        ("20 steps", KNOWN, PlannedEvaluations(6, 6)),
        ("30 steps", KNOWN, PlannedEvaluations(5, 5)),
        ("1 epoch", KNOWN, PlannedEvaluations(4, 4)),
        ("500 tokens", KNOWN, PlannedEvaluations(3, 3)),
        ("1000 steps", KNOWN, PlannedEvaluations(2, 2)),
        ("1 epoch", Length(steps=100), None),
        ("20 steps", Length(), None),
        ("auto", Length(steps=10), PlannedEvaluations(6, 10)),
    ],
)
def test_how_many_evaluations_are_planned(often, length, looks) -> None:
    assert planned_evaluations(every(often), length) == looks


def test_auto_is_bounded_whatever_the_length() -> None:
    looks = planned_evaluations(every("auto"), Length())
    assert looks is not None
    assert looks.least >= 6
    assert looks.most < 50


def test_without_a_baseline_there_is_one_less() -> None:
    assert planned_evaluations(every("20 steps"), KNOWN, baseline=False) == PlannedEvaluations(5, 5)


@pytest.mark.parametrize(
    ("rule", "place", "needs"),
    [
        ({"forecast": {"min_gain": 0.01, "after": 6}}, "stop.0.forecast.after", 7),
        ({"plateau": {"patience": 6}}, "stop.0.plateau.patience", 7),
        ({"overfitting": {"looks": 6}}, "stop.0.overfitting.looks", 7),
        ({"target": {"loss": 1.0}, "confirm": 7}, "stop.0.confirm", 7),
        (
            {"any": [{"plateau": {"patience": 9}}, {"budget": {"steps": 9}}]},
            "stop.0.any.0.plateau.patience",
            10,
        ),
    ],
)
def test_a_rule_that_waits_for_more_than_is_planned(rule, place, needs) -> None:
    rules = [StopRule.model_validate(rule)]
    (one,) = silent_rules(rules, PlannedEvaluations(6, 6))
    assert (one.needs, one.surely) == (needs, True)
    assert f"`{place}` can never speak: it waits for {needs} evaluations, and 6 are planned" in one.words
    assert "may never speak" in silent_rules(rules, PlannedEvaluations(6, 20))[0].words
    assert silent_rules(rules, PlannedEvaluations(needs, needs)) == []
