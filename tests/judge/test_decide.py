"""When to stop, as a table; and what must hold for every history and every set of rules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.decide import SUCCESS, decide
from tunesmith.judge.explain import explain_verdict
from tunesmith.judge.measurement import Measurement, Progress
from tunesmith.metrics.table import direction
from tunesmith.recipe.schema.stop import StopRule

NAN, INF = math.nan, math.inf
AMPLE = {"budget": {"steps": 10_000}}


def rules(*each: dict) -> tuple[StopRule, ...]:
    return tuple(StopRule.model_validate(rule) for rule in each)


def at(step: int, **metrics: float) -> Measurement:
    progress = Progress(step=step, epoch=step / 100, tokens=step * 1000, seconds=float(step))
    return Measurement(progress=progress, metrics=metrics, examples=400, seconds=1.0)


EM = {"target": {"exact_match": 0.85}}
PATIENT = {"plateau": {"metric": "exact_match", "patience": 2}}
DIVERGED = {"divergence": {"factor": 1.5}}

CASES = {
    "nothing measured": ((), (EM,), "continue", "", "nothing has been measured"),
    "target reached": (
        [at(20, loss=1, exact_match=0.86)],
        (EM,),
        "stop",
        "target",
        "exact_match 0.86 reached 0.85",
    ),
    "target exactly": ([at(20, loss=1, exact_match=340 / 400)], (EM,), "stop", "target", "at step 20"),
    "target at the baseline": ([at(0, loss=1, exact_match=0.9)], (EM,), "stop", "target", "step 0"),
    "target missed": ([at(20, loss=1, exact_match=0.849999)], (EM, AMPLE), "continue", "", "0.85 of 0.85"),
    "reached before, not now": (
        [at(20, loss=1, exact_match=0.9), at(40, loss=1, exact_match=0.71)],
        (EM, AMPLE),
        "continue",
        "",
        "exact_match 0.71 of 0.85; best so far at step 20",
    ),
    "two metrics, one short": (
        [at(20, loss=1, exact_match=0.9, f1=0.8)],
        ({"target": {"exact_match": 0.85, "f1": 0.9}}, AMPLE),
        "continue",
        "",
        "exact_match 0.90 of 0.85; f1 0.80 of 0.90",
    ),
    "two metrics, both": (
        [at(20, loss=1, exact_match=0.9, f1=0.95)],
        ({"target": {"exact_match": 0.85, "f1": 0.9}},),
        "stop",
        "target",
        "exact_match 0.90 reached 0.85 and f1 0.95 reached 0.90",
    ),
    "loss goes down": (
        [at(20, loss=0.4)],
        ({"target": {"loss": 0.5}},),
        "stop",
        "target",
        "loss 0.40 reached 0.50",
    ),
    "loss not low enough": (
        [at(20, loss=0.6)],
        ({"target": {"loss": 0.5}}, AMPLE),
        "continue",
        "",
        "down to 0.50",
    ),
    "mse goes down": ([at(20, loss=9, mse=0.4)], ({"target": {"mse": 0.5}},), "stop", "target", "mse"),
    "perplexity goes down": (
        [at(2, loss=1, perplexity=3)],
        ({"target": {"perplexity": 4}},),
        "stop",
        "target",
        "",
    ),
    "target not measured": (
        [at(20, loss=1)],
        (EM, AMPLE),
        "unknown",
        "target",
        "exact_match was not measured",
    ),
    "target NaN": ([at(20, loss=1, exact_match=NAN)], (EM, AMPLE), "unknown", "target", "exact_match is nan"),
    "target infinite": (
        [at(20, loss=1, exact_match=INF)],
        (EM, AMPLE),
        "unknown",
        "target",
        "is inf at step 20",
    ),
    "loss NaN": ([at(20, loss=NAN, exact_match=0.9)], (EM,), "stop", "non-finite", "loss is nan at step 20"),
    "loss NaN, no rules": ([at(20, loss=NAN)], (), "stop", "non-finite", "nan"),
    "loss infinite": ([at(20, loss=INF)], ({"target": {"loss": 5}},), "stop", "non-finite", "inf"),
    "pearson NaN is no breakdown": ([at(20, loss=1, pearson=NAN)], (AMPLE,), "continue", "", "loss 1.00"),
    "diverged": (
        [at(0, loss=2.0), at(20, loss=3.1)],
        (DIVERGED,),
        "stop",
        "divergence",
        "1.5 times the 2.00 of step 0",
    ),
    "just not diverged": ([at(0, loss=2.0), at(20, loss=3.0)], (DIVERGED, AMPLE), "continue", "", ""),
    "diverged and back": (
        [at(0, loss=2.0), at(20, loss=9.0), at(40, loss=1.0)],
        (DIVERGED, AMPLE),
        "continue",
        "",
        "best so far at step 40",
    ),
    "divergence without loss": (
        [at(0, f1=1), at(20, f1=1)],
        (DIVERGED, AMPLE),
        "unknown",
        "divergence",
        "loss was not",
    ),
    "divergence, baseline NaN": (
        [at(0, loss=NAN), at(20, loss=1)],
        (DIVERGED, AMPLE),
        "unknown",
        "divergence",
        "loss is nan at step 0",
    ),
    "target before divergence": (
        [at(0, loss=1, exact_match=0.1), at(20, loss=9, exact_match=0.9)],
        (DIVERGED, EM),
        "stop",
        "target",
        "",
    ),
    "divergence before plateau": (
        [at(0, loss=1, exact_match=0.5), at(20, loss=2, exact_match=0.5), at(40, loss=2, exact_match=0.5)],
        (PATIENT, DIVERGED),
        "stop",
        "divergence",
        "",
    ),
    "plateau before budget": (
        [at(0, loss=1, exact_match=0.5), at(20, loss=1, exact_match=0.5), at(40, loss=1, exact_match=0.5)],
        ({"budget": {"steps": 40}}, PATIENT),
        "stop",
        "plateau",
        "no gain in 2 evaluations: 0.50 at step 0, 0.50 at step 40",
    ),
    "budget": (
        [at(40, loss=1)],
        ({"budget": {"steps": 40}},),
        "stop",
        "budget",
        "budget of 40 steps is spent",
    ),
    "budget although the target is unknown": (
        [at(40, loss=1)],
        (EM, {"budget": {"steps": 40}}),
        "stop",
        "budget",
        "",
    ),
    "an unknown rule does not hide another's stop": (
        [at(0, loss=1), at(20, loss=2)],
        (EM, DIVERGED),
        "stop",
        "divergence",
        "",
    ),
    "default budget": ([at(300, loss=1)], (), "stop", "budget", "3 epochs"),
    "no rules, not yet": ([at(299, loss=1)], (), "continue", "", "loss 1.00; best so far at step 299"),
}


@pytest.mark.parametrize(("history", "stop", "decision", "rule", "words"), CASES.values(), ids=CASES)
def test_decide(history, stop, decision, rule, words) -> None:
    verdict = decide(tuple(history), rules(*stop))
    assert (verdict.decision, verdict.rule) == (decision, rule)
    assert words in verdict.reason


def plateau(**keys) -> dict:
    return {"plateau": {"metric": "exact_match", **keys}}


@pytest.mark.parametrize(
    ("values", "rule", "stops"),
    [
        ((0.5, 0.5), {"patience": 1}, True),
        ((0.5,), {"patience": 1}, False),
        ((0.5, 0.6, 0.6), {"patience": 2}, False),
        ((0.5, 0.6, 0.6, 0.6), {"patience": 2}, True),
        ((0.5, 0.6, 0.55, 0.61), {"patience": 2}, False),
        ((0.5, 0.4, 0.45, 0.49), {"patience": 3}, True),
        # a slow climb counts once it adds up to min_gain
        ((0.50, 0.53, 0.56, 0.59), {"patience": 3, "min_gain": 0.05}, False),
        ((0.50, 0.51, 0.52, 0.53), {"patience": 3, "min_gain": 0.05}, True),
        # 0.3 - 0.2 < 0.1 in floating point
        ((0.1, 0.2, 0.3), {"patience": 1, "min_gain": 0.1}, False),
        # without a value there is no evidence either way
        ((0.5, math.nan, math.nan, 0.5), {"patience": 2}, False),
        ((0.5, math.nan, 0.5, 0.5), {"patience": 2}, True),
        ((math.nan, 0.5, 0.5), {"patience": 2}, False),
    ],
)
def test_plateau(values, rule, stops, make_series) -> None:
    verdict = decide(make_series("exact_match", *values), rules(plateau(**rule), AMPLE))
    assert verdict.stop == stops, verdict


def test_plateau_of_a_loss_counts_downwards(make_series) -> None:
    rule = rules({"plateau": {"metric": "loss", "patience": 2}}, AMPLE)
    assert not decide(make_series("loss", 3.0, 2.0, 1.0), rule).stop
    assert decide(make_series("loss", 1.0, 2.0, 3.0), rule).rule == "plateau"


def test_plateau_is_unknown_when_the_newest_value_is(make_series) -> None:
    verdict = decide(make_series("exact_match", 0.5, 0.5, math.nan), rules(plateau(patience=1), AMPLE))
    assert (verdict.decision, verdict.rule) == ("unknown", "plateau")
    assert "exact_match is nan at step 40" in verdict.reason


def test_the_reason_to_continue_counts_patience(make_series) -> None:
    verdict = decide(make_series("exact_match", 0.5, 0.71, 0.7), rules(EM, plateau(patience=4), AMPLE))
    assert verdict.reason == (
        "exact_match 0.70 of 0.85; best so far at step 20; 1 of 4 evaluations without a gain in exact_match"
    )


# --- what holds for every history -------------------------------------------------------------

METRIC_NAMES = ("loss", "perplexity", "exact_match", "mse")
VALUES = st.one_of(st.floats(-100, 100), st.sampled_from([NAN, INF, -INF, 0.0, 0.5, 1.0]))
METRICS = st.dictionaries(st.sampled_from(METRIC_NAMES), VALUES)
HISTORIES = st.lists(METRICS, max_size=6).map(
    lambda each: tuple(at(20 * index, **metrics) for index, metrics in enumerate(each))
)
NUMBERS = st.floats(-100, 100)
TARGETS = st.dictionaries(st.sampled_from(METRIC_NAMES), NUMBERS, min_size=1).map(
    lambda each: {"target": each}
)
PLATEAUS = st.builds(
    lambda metric, patience, gain: {"plateau": {"metric": metric, "patience": patience, "min_gain": gain}},
    st.sampled_from(METRIC_NAMES),
    st.integers(1, 3),
    st.floats(0, 1),
)
DIVERGENCES = st.floats(1.01, 3).map(lambda factor: {"divergence": {"factor": factor}})
BUDGETS = st.integers(1, 200).map(lambda steps: {"budget": {"steps": steps}})
ONE_RULE = st.one_of(TARGETS, PLATEAUS, DIVERGENCES, BUDGETS)
SOME_RULES = st.lists(ONE_RULE, max_size=4)


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


@given(HISTORIES, SOME_RULES)
def test_success_only_on_finite_values_that_reach_the_target(history, stop) -> None:
    verdict = decide(history, rules(*stop))
    if verdict.stop and verdict.rule in SUCCESS:
        newest = history[-1].metrics
        assert math.isfinite(newest.get("loss", 0.0))
        assert any(
            all(
                finite(newest.get(name))
                and (newest[name] >= goal if direction(name) == "max" else newest[name] <= goal)
                for name, goal in rule["target"].items()
            )
            for rule in stop
            if "target" in rule
        )


@given(HISTORIES.filter(bool), TARGETS)
def test_target_stops_exactly_when_the_newest_measurement_meets_it(history, target) -> None:
    newest = history[-1].metrics
    meets = all(
        finite(newest.get(name)) and (newest[name] >= goal if name == "exact_match" else newest[name] <= goal)
        for name, goal in target["target"].items()
    )
    verdict = decide(history, rules(target, AMPLE))
    assert (verdict.rule == "target" and verdict.stop) == (meets and math.isfinite(newest.get("loss", 0.0)))


@given(HISTORIES, SOME_RULES, ONE_RULE, st.integers(0, 5))
def test_adding_a_rule_never_turns_stop_into_continue(history, stop, added, place) -> None:
    few = [*stop, AMPLE]  # a budget is named, so that the default of 3 epochs is not what is replaced
    many = [*few]
    many.insert(min(place, len(many)), added)
    if decide(history, rules(*few)).stop:
        assert decide(history, rules(*many)).stop


@given(HISTORIES, SOME_RULES)
def test_the_order_of_rules_never_matters_for_stopping(history, stop) -> None:
    there, back = decide(history, rules(*stop)), decide(history, rules(*reversed(stop)))
    assert (there.decision, there.rule) == (
        back.decision,
        back.rule,
    ) or there.decision == back.decision == "unknown"


@given(HISTORIES.filter(bool), SOME_RULES)
def test_a_non_finite_loss_always_stops_and_goes_first(history, stop) -> None:
    loss = history[-1].metrics.get("loss", 0.0)
    assert (decide(history, rules(*stop)).rule == "non-finite") == (not math.isfinite(loss))


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=12), st.integers(-(10**6), 10**6), PLATEAUS)
def test_a_plateau_does_not_depend_on_where_zero_is(values, shift, rule) -> None:
    exact = rule["plateau"] | {"min_gain": round(rule["plateau"]["min_gain"] * 8) / 8}  # exact in binary
    for name in METRIC_NAMES:
        one = rules({"plateau": exact | {"metric": name}}, AMPLE)
        history = tuple(at(i, **{"loss": 1.0, name: float(v)}) for i, v in enumerate(values))
        shifted = tuple(at(i, **{"loss": 1.0, name: float(v + shift)}) for i, v in enumerate(values))
        assert decide(history, one).stop == decide(shifted, one).stop


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12), st.integers(1, 4))
def test_a_plateau_of_min_is_the_mirror_of_max(values, patience) -> None:
    up = tuple(at(i, loss=1.0, exact_match=float(v)) for i, v in enumerate(values))
    down = tuple(at(i, loss=-float(v)) for i, v in enumerate(values))
    upward = rules({"plateau": {"metric": "exact_match", "patience": patience}}, AMPLE)
    downward = rules({"plateau": {"metric": "loss", "patience": patience}}, AMPLE)
    assert decide(up, upward).stop == decide(down, downward).stop


@given(HISTORIES, SOME_RULES)
def test_every_verdict_gives_a_reason_and_is_repeatable(history, stop) -> None:
    verdict = decide(history, rules(*stop))
    assert verdict.reason
    assert verdict == decide(history, rules(*stop))
    assert (verdict.decision == "continue") == (verdict.rule == "")


@given(HISTORIES, SOME_RULES)
def test_there_are_words_for_every_end(history, stop) -> None:
    text = explain_verdict(history, decide(history, rules(*stop)), rules(*stop))
    assert text.endswith(".")
    assert "None" not in text
