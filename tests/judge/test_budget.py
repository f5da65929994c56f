from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.judge.budget import spent, step_limit, total_steps
from tunesmith.judge.measurement import Progress
from tunesmith.numbers import duration
from tunesmith.recipe.schema.stop import StopRule


def budget(**limits: object) -> tuple[StopRule, ...]:
    return (StopRule.model_validate({"budget": limits}),)


def progress(step: int = 0, epoch: float = 0.0, tokens: int = 0, seconds: float = 0.0) -> Progress:
    return Progress(step=step, epoch=epoch, tokens=tokens, seconds=seconds)


@pytest.mark.parametrize(
    ("limits", "below", "reached", "words"),
    [
        ({"steps": 10}, progress(step=9), progress(step=10), "10 steps"),
        ({"steps": 1}, progress(), progress(step=1), "1 step is"),
        ({"epochs": 3}, progress(epoch=2.999), progress(epoch=3.0), "3 epochs"),
        ({"epochs": 0.3}, progress(epoch=0.29), progress(epoch=0.1 * 3), "0.3 epochs"),
        ({"epochs": 3}, progress(epoch=2.999), progress(epoch=2.9999999999), "3 epochs"),
        ({"tokens": 50_000}, progress(tokens=49_999), progress(tokens=50_000), "50,000 tokens"),
        ({"time": "10m"}, progress(seconds=599.9), progress(seconds=600), "10 min"),
        ({"steps": 5, "time": "1h30m"}, progress(step=4), progress(seconds=5400), "1 h 30 min"),
    ],
)
def test_spent(limits, below, reached, words) -> None:
    assert spent(below, budget(**limits)) is None
    verdict = spent(reached, budget(**limits))
    assert verdict is not None
    assert verdict.stop
    assert verdict.rule == "budget"
    assert words in verdict.reason


def test_three_epochs_are_the_default_where_no_budget_is_named() -> None:
    target = (StopRule(target={"loss": 0.1}),)
    for rules in ((), target, (StopRule(),)):
        assert spent(progress(step=9, epoch=2.9), rules) is None
        assert spent(progress(step=9, epoch=3.0), rules) is not None
        assert total_steps(rules, examples=100, batch_size=8, mean_tokens=5) == 38


def test_a_budget_of_time_gets_no_epochs_added() -> None:
    assert spent(progress(epoch=99.0, seconds=1.0), budget(time="1h")) is None


@pytest.mark.parametrize(
    ("limits", "steps"),
    [
        ({"steps": 7}, 7),
        ({"epochs": 1}, 13),  # 100 examples by 8: the 13th step ends the epoch
        ({"epochs": 2}, 25),
        ({"epochs": 0.01}, 1),
        ({"epochs": 0.0001}, 1),
        ({"tokens": 4000}, 10),  # 400 tokens a step
        ({"tokens": 4001}, 11),
        ({"steps": 7, "epochs": 1, "tokens": 800}, 2),
        ({"steps": 7, "time": "1s"}, 7),
    ],
)
def test_total_steps(limits, steps) -> None:
    assert total_steps(budget(**limits), examples=100, batch_size=8, mean_tokens=50.0) == steps


def test_several_budgets_are_bounded_by_the_smallest() -> None:
    rules = budget(steps=50) + budget(epochs=1) + budget(time="1h")
    assert total_steps(rules, examples=100, batch_size=8, mean_tokens=50.0) == 13


def test_rounding_adds_no_step() -> None:
    assert total_steps(budget(epochs=0.1 * 3), examples=100, batch_size=10, mean_tokens=1.0) == 3


def test_time_alone_gives_no_number_of_steps() -> None:
    assert step_limit(budget(time="10m"), examples=100, batch_size=8, mean_tokens=50.0) is None
    with pytest.raises(UserError) as mistake:
        total_steps(budget(time="10m"), examples=100, batch_size=8, mean_tokens=50.0)
    assert "time alone" in str(mistake.value)
    assert "schedule: constant" in mistake.value.hint


@given(st.integers(1, 500), st.integers(1, 64), st.integers(1, 40).map(lambda n: n / 8), st.integers(1, 20))
def test_the_run_ends_at_exactly_the_step_that_the_schedule_ends_at(examples, batch, epochs, steps) -> None:
    rules = budget(epochs=epochs, steps=steps)
    end = total_steps(rules, examples=examples, batch_size=batch, mean_tokens=1.0)
    at = [progress(step=step, epoch=step * batch / examples) for step in (end - 1, end)]
    assert spent(at[0], rules) is None
    assert spent(at[1], rules) is not None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5 s"),
        (45, "45 s"),
        (60, "1 min"),
        (138, "2 min 18 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (3599.9, "1 h"),
    ],
)
def test_duration(seconds, text) -> None:
    assert duration(seconds) == text
