from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.selection.best import best_index, primary_metric, without_choice
from tunesmith.metrics.table import direction
from tunesmith.recipe.schema.stop import StopRule


def rules(*each: dict) -> tuple[StopRule, ...]:
    return tuple(StopRule.model_validate(rule) for rule in each)


@pytest.mark.parametrize(
    "metric", ["loss", "perplexity", "mse", "hub:wer", "evaluate:org/mae", f"hub:wer@{40 * 'a'}"]
)
def test_less_is_better(metric) -> None:
    assert direction(metric) == "min"


@pytest.mark.parametrize(
    "metric", ["exact_match", "accuracy", "pearson", "token_accuracy", "hub:accuracy", "nobody's"]
)
def test_more_is_better(metric) -> None:
    assert direction(metric) == "max"


@pytest.mark.parametrize(
    ("stop", "metric"),
    [
        ((), "loss"),
        (({"budget": {"steps": 1}},), "loss"),
        (({"plateau": {"metric": "f1"}},), "f1"),
        (({"plateau": {"metric": "f1"}}, {"target": {"bleu": 0.3, "chrf": 0.5}}), "bleu"),
        (({"target": {"bleu": 0.3}}, {"target": {"chrf": 0.5}}), "bleu"),
        (({"plateau": {}}, {"plateau": {"metric": "f1"}}), "loss"),
    ],
)
def test_primary_metric(stop, metric) -> None:
    assert primary_metric(rules(*stop)) == metric


TARGET = ({"target": {"exact_match": 0.99}},)


@pytest.mark.parametrize(
    ("metric", "values", "stop", "best"),
    [
        ("exact_match", (0.1, 0.8, 0.7), TARGET, 1),
        ("exact_match", (0.8, 0.8, 0.8), TARGET, 0),
        ("exact_match", (math.nan, 0.2, math.inf), TARGET, 1),
        ("exact_match", (math.nan, math.nan), TARGET, 0),
        ("loss", (3.0, 1.0, 2.0), (), 1),
        ("loss", (3.0, 1.0, 1.0), (), 1),
        ("loss", (math.nan, 5.0, -math.inf), (), 1),
    ],
)
def test_best_index(metric, values, stop, best, make_series) -> None:
    assert best_index(make_series(metric, *values), rules(*stop)) == best


def test_weights_with_a_broken_loss_are_never_the_best(make_measurement) -> None:
    history = (
        make_measurement(0, loss=1.0, exact_match=0.1),
        make_measurement(20, loss=math.nan, exact_match=0.9),
    )
    assert best_index(history, rules(*TARGET)) == 0


def test_the_measurement_that_met_the_target_wins_over_a_better_first_metric(make_measurement) -> None:
    stop = rules({"target": {"exact_match": 0.8, "f1": 0.9}})
    history = (
        make_measurement(20, loss=1.0, exact_match=0.87, f1=0.88),
        make_measurement(40, loss=1.0, exact_match=0.86, f1=0.91),
    )
    assert best_index(history, stop) == 1


@pytest.mark.parametrize(
    ("metric", "values", "stop", "chosen"),
    [
        ("exact_match", (math.nan, math.nan), TARGET, False),
        ("exact_match", (math.nan, 0.1, math.nan), TARGET, True),
        ("loss", (math.nan, math.inf), (), False),
        ("loss", (math.nan, 1.0), (), True),
        ("loss", (), (), True),
    ],
)
def test_whether_anything_tells_which_weights_are_best(metric, values, stop, chosen, make_series) -> None:
    said = without_choice(make_series(metric, *values), rules(*stop))
    assert (said is None) == chosen
    assert chosen or f"`{metric}`" in said


def test_nothing_measured_has_no_best() -> None:
    with pytest.raises(ValueError, match="nothing has been measured"):
        best_index((), ())


@given(
    st.lists(st.one_of(st.floats(-5, 5), st.just(math.nan)), min_size=1),
    st.sampled_from(["loss", "exact_match"]),
)
def test_nothing_finite_is_better_and_nothing_earlier_is_as_good(make_series, values, metric) -> None:
    stop = rules({"plateau": {"metric": metric}})
    best = best_index(make_series(metric, *values), stop)
    sign = 1 if metric == "exact_match" else -1
    finite = [(sign * value, -index) for index, value in enumerate(values) if math.isfinite(value)]
    assert best == (-max(finite)[1] if finite else 0)
