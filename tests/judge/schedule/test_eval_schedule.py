from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.measurement import Measurement, Progress
from tunesmith.judge.schedule.eval_schedule import next_eval_step


def looks(total: int | None, *, cost: float, step: float = 1.0, until: int = 10_000) -> list[Measurement]:
    """A run whose steps and evaluations take this long, looked at as the cadence says."""
    history: list[Measurement] = []
    at = 0
    while at <= (total or until):
        spent = at * step + sum(one.seconds for one in history)
        progress = Progress(step=at, epoch=at / 100, tokens=at, seconds=spent)
        history.append(Measurement(progress=progress, metrics={"loss": 1.0}, examples=10, seconds=cost))
        if at == total:
            break
        at = next_eval_step(tuple(history), total)
    return history


@given(st.integers(1, 20_000), st.floats(0, 50))
def test_it_always_goes_on_and_ends_at_the_end(total, cost) -> None:
    steps = [one.step for one in looks(total, cost=cost)]
    assert steps == sorted(set(steps))
    assert steps[-1] == total


def test_often_early_rarely_late() -> None:
    steps = [one.step for one in looks(1000, cost=0.0)]
    gaps = [after - before for before, after in pairwise(steps)]
    assert steps[:3] == [0, 20, 30], "none before there can be a difference"
    assert max(gaps) == 50
    assert sum(step <= 200 for step in steps) > sum(step > 800 for step in steps)
    assert len(steps) in range(21, 40)


@pytest.mark.parametrize("cost", [0.1, 1.0, 5.0, 40.0])
def test_the_overhead_is_bounded(cost) -> None:
    history = looks(5000, cost=cost)
    between = [one for one in history if 0 < one.step < 5000]
    # the first look's cost is not known before it was made, nor are the baseline and the end optional
    assert sum(one.seconds for one in between[1:]) <= 0.05 * 5000


def test_without_a_number_of_steps_looks_are_spaced_by_a_ratio() -> None:
    steps = [one.step for one in looks(None, cost=0.0, until=2000)]
    assert steps[:4] == [0, 1, 2, 3]
    assert steps[-1] / steps[-2] == pytest.approx(1.25, abs=0.01)


def test_small_changes_of_the_clock_do_not_move_the_looks() -> None:
    ours = [one.step for one in looks(5000, cost=10.0)]
    theirs = [one.step for one in looks(5000, cost=10.4)]
    assert ours == theirs


@pytest.mark.parametrize("total", [10, 60, 324, 2000])
@pytest.mark.parametrize("cost", [0.0, 4.0, 500.0])
def test_a_run_of_known_length_is_looked_at_some_five_times_whatever_it_costs(total, cost) -> None:
    steps = [one.step for one in looks(total, cost=cost, step=0.5)]
    assert len(steps) >= 6, steps
    assert steps[1] >= min(20, total / 5), "none before there can be a difference"
    assert max(after - before for before, after in pairwise(steps)) <= total / 5 + 1


def test_the_first_look_comes_after_the_warm_up() -> None:
    assert next_eval_step((), 1000, warmup=60) == 60
    assert next_eval_step((), 1000, warmup=600) == 200, "but in time for five"
    assert next_eval_step((), None, warmup=7) == 7
