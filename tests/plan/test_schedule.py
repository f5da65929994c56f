import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.measurement import Progress
from tunesmith.plan.schedule import due, learning_rate, warmup_steps
from tunesmith.recipe.schema.quantities import Every
from tunesmith.recipe.schema.tune import Optimizer

PEAK = 2e-3


def section(schedule="cosine", warmup=0.1, floor=0.0) -> Optimizer:
    return Optimizer(learning_rate=PEAK, schedule=schedule, warmup=warmup, final_learning_rate=floor)


def rates(total: int, optimizer: Optimizer) -> list[float]:
    return [learning_rate(step, total, optimizer) for step in range(total + 1)]


sections = st.builds(
    section,
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
    warmup=st.one_of(st.floats(0, 0.9), st.integers(1, 50).map(float)),
    floor=st.floats(0, 1),
)


@given(total=st.integers(1, 400), optimizer=sections)
def test_it_rises_to_the_peak_and_falls_to_the_floor(total, optimizer):
    warmup, values = warmup_steps(total, optimizer.warmup), rates(total, optimizer)
    floor = PEAK if optimizer.schedule == "constant" else PEAK * optimizer.final_learning_rate
    assert all(0 < value <= PEAK * (1 + 1e-12) for value in values[: total - 1])
    climb, fall = values[: min(warmup, total)], values[warmup:]
    assert all(a < b for a, b in itertools.pairwise(climb))
    assert all(a >= b - 1e-15 for a, b in itertools.pairwise(fall))
    if warmup < total:
        assert values[warmup] == pytest.approx(PEAK)
        assert values[total] == pytest.approx(floor, abs=1e-12)


@given(total=st.integers(2, 400), optimizer=sections)
def test_it_never_jumps(total, optimizer):
    warmup, values = warmup_steps(total, optimizer.warmup), rates(total, optimizer)
    steepest_fall = math.pi / 2 * PEAK / max(1, total - warmup)
    for step, (a, b) in enumerate(itertools.pairwise(values)):
        most = PEAK / max(warmup, 1) if step < warmup else steepest_fall
        assert abs(b - a) <= most * (1 + 1e-9) + 1e-15, (step, a, b)


@given(optimizer=sections, beyond=st.integers(0, 100))
def test_beyond_the_end_it_stays(optimizer, beyond):
    assert learning_rate(100 + beyond, 100, optimizer) == learning_rate(100, 100, optimizer)


@pytest.mark.parametrize(("warmup", "first"), [(0.03, PEAK), (0.0, PEAK), (4.0, PEAK / 4)])
def test_a_share_of_nobody_knows_how_many_steps_is_no_warmup(warmup, first):
    optimizer = section("constant", warmup)
    assert learning_rate(0, None, optimizer) == pytest.approx(first)
    assert learning_rate(10**6, None, optimizer) == PEAK


@pytest.mark.parametrize(
    ("step", "schedule", "expected"),
    [
        (0, "linear", 0.5),
        (1, "linear", 1.0),
        (2, "linear", 1.0),
        (6, "linear", 0.5),
        (10, "linear", 0.0),
        (2, "cosine", 1.0),
        (4, "cosine", 0.5 * (1 + math.cos(math.pi / 4))),
        (6, "cosine", 0.5),
    ],
)
def test_golden_values(step, schedule, expected):
    assert learning_rate(step, 10, section(schedule, warmup=0.2)) == pytest.approx(PEAK * expected)


def progress(step: int, per_epoch: float, tokens: int) -> Progress:
    return Progress(step=step, epoch=step / per_epoch, tokens=tokens, seconds=0.0)


@given(
    every=st.builds(
        Every,
        count=st.one_of(st.floats(0.01, 50), st.integers(1, 50).map(float)),
        unit=st.sampled_from(["steps", "epochs", "tokens"]),
    ),
    per_epoch=st.floats(0.5, 60),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=120),
)
def test_due_never_misses_and_never_comes_twice(every, per_epoch, sizes):
    tokens = [0, *(sum(sizes[: i + 1]) for i in range(len(sizes)))]
    moments = [progress(step, per_epoch, count) for step, count in enumerate(tokens)]
    position = {"steps": "step", "epochs": "epoch", "tokens": "tokens"}[every.unit]
    passed = [math.floor(getattr(moment, position) / every.count + 1e-9) for moment in moments]
    fired = [due(every, a, b) for a, b in itertools.pairwise(moments)]
    assert fired == [b > a for a, b in itertools.pairwise(passed)]
    # As a multiple may be passed several times in one step, so many or fewer, and none is left over.
    assert sum(fired) <= passed[-1]
    assert not passed[-1] or any(fired)


def test_every_third_of_an_epoch_survives_rounding():
    fired = [
        step
        for step in range(1, 31)
        if due(Every(count=1 / 3, unit="epochs"), progress(step - 1, 30, 0), progress(step, 30, 0))
    ]
    assert fired == [10, 20, 30]
