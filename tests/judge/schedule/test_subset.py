from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.measurement import Measurement, Progress
from tunesmith.judge.schedule.subset import nested_order, next_size, size_needed, sizes
from tunesmith.judge.selection.best import best_index
from tunesmith.judge.significance import least_sure
from tunesmith.judge.statistics.distributions import spend
from tunesmith.judge.statistics.example_scores import scores_of
from tunesmith.judge.statistics.intervals import wilson_interval
from tunesmith.judge.statistics.paired import paired_test
from tunesmith.recipe.schema.stop import StopRule


@given(st.lists(st.sampled_from("aabc"), max_size=120), st.integers(0, 5))
def test_every_beginning_is_a_stratified_sample(strata, seed) -> None:
    order = nested_order(strata, seed)
    assert sorted(order) == list(range(len(strata)))
    whole = Counter(strata)
    for size in (1, 7, 30, len(strata)):
        part = Counter(strata[index] for index in order[:size])
        if size <= len(strata):
            for stratum, count in whole.items():
                assert abs(part[stratum] - size * count / len(strata)) <= len(whole)


def test_the_order_is_fixed_by_the_seed_and_random_within_a_stratum() -> None:
    assert nested_order("a" * 50, 1) == nested_order("a" * 50, 1)
    assert nested_order("a" * 50, 1) != nested_order("a" * 50, 2)
    assert nested_order("a" * 50, 1) != list(range(50))


@pytest.mark.parametrize(
    ("rows", "expected"), [(10, [10]), (64, [64]), (65, [64, 65]), (300, [64, 128, 256, 300])]
)
def test_sizes_double_up_to_the_whole(rows, expected) -> None:
    assert sizes(rows) == expected


def test_the_size_needed_tells_the_difference_as_often_as_it_says() -> None:
    size = size_needed(1.0, 0.25)
    assert 95 <= size <= 105  # ((1.645 + 0.842) / 0.25)²
    draw = np.random.default_rng(0)
    found = [draw.normal(0.25, 1, size) for _ in range(2000)]
    seen = [one.mean() / (one.std(ddof=1) / size**0.5) > 1.66 for one in found]
    assert 0.76 < np.mean(seen) < 0.84


HARD = np.random.default_rng(1).random(1024)


def measured(step: int, true: float, examples: int, older: tuple[int, float] | None = None) -> Measurement:
    """A model that gets every example right that is easier than ``true``."""
    hits = (true > HARD[:examples]).astype(float)
    paired = ()
    if older is not None:
        before = scores_of(older[0], list((older[1] > HARD).astype(float)))
        paired = (paired_test("accuracy", scores_of(step, list(hits)), before),)
    return Measurement(
        progress=Progress(step=step, epoch=step / 100, tokens=step, seconds=float(step)),
        metrics={"loss": 1.0, "accuracy": float(hits.mean())},
        intervals={"accuracy": wilson_interval(hits.sum(), examples)},
        examples=examples,
        seconds=1.0,
        paired=paired,
        of=1024,
    )


def rules(*each: dict) -> tuple[StopRule, ...]:
    plain = (*each, {"plateau": {"metric": "accuracy", "patience": 9}}, {"budget": {"steps": 1000}})
    return tuple(StopRule.model_validate(one) for one in plain)


TARGET = {"target": {"accuracy": 0.8}}


def grown(true: float, best: float, each: tuple[StopRule, ...], step: int = 20) -> int:
    """Rows that were looked at in the end."""
    history = (replace(measured(0, best, 1024), of=None),)
    size = 64
    while True:
        bigger = next_size(history, measured(step, true, size, (0, best)), each)
        if bigger is None:
            return size
        assert bigger > size
        size = bigger


@pytest.mark.parametrize(
    ("true", "best", "size", "why"),
    [
        (0.6, 0.2, 64, "far from the target and clearly better: settled at once"),
        (0.2, 0.6, 64, "far from the target and clearly worse"),
        (0.82, 0.2, 1024, "a target that may be reached is asked of the whole set"),
        (0.5, 0.5, 64, "the very same answers: surely closer than what matters"),
    ],
)
def test_the_subset_grows_only_while_the_decision_is_open(true, best, size, why) -> None:
    assert grown(true, best, rules(TARGET)) == size, why


@pytest.mark.parametrize(("true", "size", "surely"), [(0.7, 64, 64), (0.78, 1024, 64), (0.9, 1024, 1024)])
def test_a_sure_target_asks_for_rows_only_where_it_may_become_sure(true, size, surely) -> None:
    assert grown(true, 0.2, rules(TARGET)) == size
    assert grown(true, 0.2, rules({**TARGET, "sure": 0.95})) == surely


def test_what_likely_passes_is_asked_of_all_rows_at_once() -> None:
    history = (replace(measured(0, 0.2, 1024), of=None),)
    sure = rules({**TARGET, "sure": 0.95})
    true = {0.8: 128, 0.85: 1024}  # of the first 64 rows, 0.78 and 0.84
    assert {each: next_size(history, measured(20, each, 64, (0, 0.2)), sure) for each in true} == true


def test_a_target_that_one_metric_misses_asks_for_no_rows_for_the_other() -> None:
    newest = measured(20, 0.82, 64, (0, 0.2))
    newest = replace(
        newest, metrics={**newest.metrics, "f1": 0.3}, intervals={**newest.intervals, "f1": (0.2, 0.4)}
    )
    history = (replace(measured(0, 0.2, 1024), of=None),)
    assert next_size(history, newest, rules({"target": {"accuracy": 0.8, "f1": 0.35}})) == 128
    assert next_size(history, newest, rules({"target": {"accuracy": 0.8, "f1": 0.8}})) is None


@pytest.mark.parametrize("sure", [None, 0.95])
@pytest.mark.parametrize("true", [0.8, 0.84, 0.88])
def test_a_pass_is_missed_seldom(true, sure) -> None:
    """Of sets that pass as a whole, at most about ``WORTH_GROWING`` at each size are left unlooked at."""
    draw, passed, missed = np.random.default_rng(3), 0, 0
    each = rules({**TARGET, "sure": sure} if sure else TARGET)
    history = (replace(measured(0, 0.2, 1024), of=None),)
    for _ in range(120):
        hits = (draw.random(1024) < true).astype(float)
        size: int | None = 64
        while size is not None and size < 1024:
            newest = measured(20, 0.9, size, (0, 0.2))
            values = {"loss": 1.0, "accuracy": float(hits[:size].mean())}
            bounds = {"accuracy": wilson_interval(hits[:size].sum(), size)}
            size = next_size(history, replace(newest, metrics=values, intervals=bounds), each)
        wanted = least_sure(newest, "accuracy", 0.8, spend(0.05, 2)) if sure else 0.8
        passed += hits.mean() >= wanted
        missed += hits.mean() >= wanted and size is None
    assert missed <= 0.2 * max(passed, 1)
    assert missed < passed or not passed


def test_a_small_difference_takes_more_rows_than_a_large_one() -> None:
    assert grown(0.53, 0.5, rules()) > grown(0.6, 0.5, rules()) >= grown(0.9, 0.5, rules())


def test_a_subset_never_stops_a_run() -> None:
    over = rules({"budget": {"steps": 20}})
    assert grown(0.6, 0.2, over) == 1024
    assert grown(0.2, 0.6, rules({"plateau": {"metric": "accuracy", "patience": 1}})) == 1024


def test_the_whole_set_grows_no_further() -> None:
    assert next_size((), replace(measured(0, 0.5, 1024), of=None), rules(TARGET)) is None
    assert next_size((), measured(0, 0.5, 1024), rules(TARGET)) is None


def test_what_cannot_be_told_from_a_partial_best_is_asked_of_the_whole_set_and_takes_its_place() -> None:
    each = rules(TARGET)
    partial = measured(20, 0.50, 64)
    newest = measured(40, 0.51, 64, (20, 0.50))
    assert next_size((partial,), newest, each) == 1024
    whole = replace(measured(40, 0.51, 1024, (20, 0.50)), of=None)
    assert best_index((partial, whole), each) == 1
    surely_worse = replace(measured(40, 0.2, 1024, (20, 0.50)), of=None)
    assert best_index((partial, surely_worse), each) == 0


def test_among_partial_ones_the_comparison_decides_and_not_the_value() -> None:
    lucky = replace(measured(20, 0.5, 64), metrics={"loss": 1.0, "accuracy": 0.9})
    newest = measured(40, 0.7, 64, (20, 0.5))
    assert newest.metrics["accuracy"] < 0.9
    assert best_index((lucky, newest), rules(TARGET)) == 1
