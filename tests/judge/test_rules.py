"""The rules that look at evidence, each as a table."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.comparisons import (
    comparands_from_plain,
    comparands_to_plain,
    comparisons,
    keep,
    references,
)
from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import (
    History,
    Measurement,
    Progress,
    measurement_from_plain,
    measurement_to_plain,
)
from tunesmith.judge.selection.best import best_index
from tunesmith.judge.significance import least_sure, p_short
from tunesmith.judge.statistics.example_scores import scores_of
from tunesmith.judge.statistics.intervals import wilson_interval
from tunesmith.recipe.schema.stop import StopRule

AMPLE = {"budget": {"steps": 100_000}}
EXAMPLES = 400


def rules(*each: dict) -> tuple[StopRule, ...]:
    return tuple(StopRule.model_validate(rule) for rule in each)


def at(step: int, examples: int = EXAMPLES, **metrics: float) -> Measurement:
    progress = Progress(step=step, epoch=step / 100, tokens=step * 1000, seconds=float(step))
    proportions = {name: value for name, value in metrics.items() if name in ("accuracy", "exact_match")}
    return Measurement(
        progress=progress,
        metrics={"loss": 1.0, **metrics},
        intervals={n: wilson_interval(round(v * examples), examples) for n, v in proportions.items()},
        examples=examples,
        seconds=1.0,
    )


def run(values: list[float], each: tuple[StopRule, ...], *, noise: float = 0.0, seed: int = 0) -> History:
    """Losses over EXAMPLES examples with these means; a share of each example's is drawn anew each time."""
    draw = np.random.default_rng(seed)
    base = draw.gamma(2.0, 0.5, EXAMPLES)
    base -= base.mean()
    history: History = ()
    kept = {}
    for index, value in enumerate(values):
        each_loss = value + base + noise * draw.standard_normal(EXAMPLES)
        newest = {"loss": scores_of(20 * index, list(each_loss))}
        one = replace(
            at(20 * index, loss=float(each_loss.mean())),
            intervals={"loss": (float(each_loss.mean()) - 0.1, float(each_loss.mean()) + 0.1)},
            paired=comparisons(kept, newest),
            train_loss=2.0 / (index + 1),
        )
        history = (*history, one)
        kept = keep(kept, newest, history, each)
    return history


def first_stop(history: History, each: tuple[StopRule, ...]) -> int | None:
    """Index of the evaluation that ends the run."""
    return next((k for k in range(len(history)) if decide(history[: k + 1], each).stop), None)


# --- target -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "rule", "stop"),
    [
        ([0.86], {}, 0),
        ([0.86], {"sure": 0.95}, None),  # the interval holds 0.85
        ([0.90], {"sure": 0.95}, 0),
        ([0.86, 0.84, 0.86, 0.87, 0.86], {"confirm": 3}, 4),
        ([0.86, 0.86], {"confirm": 3}, None),
        ([0.90, 0.90], {"confirm": 2, "sure": 0.95}, 1),
        ([0.86, 0.86], {"confirm": 2, "sure": 0.95}, None),
    ],
)
def test_target(values, rule, stop) -> None:
    each = rules({"target": {"accuracy": 0.85}, **rule}, AMPLE)
    assert first_stop(tuple(at(20 * k, accuracy=v) for k, v in enumerate(values)), each) == stop


def test_being_sure_gets_harder_with_every_look() -> None:
    each = rules({"target": {"accuracy": 0.85}, "sure": 0.95}, AMPLE)
    before = tuple(at(20 * k, accuracy=0.5) for k in range(30))
    assert decide((at(0, accuracy=0.89),), each).stop
    assert not decide((*before, at(600, accuracy=0.89)), each).stop
    assert decide((*before, at(600, accuracy=0.925)), each).stop


def test_being_sure_needs_an_interval() -> None:
    each = rules({"target": {"loss": 0.5}, "sure": 0.95}, AMPLE)
    verdict = decide((at(20, loss=0.1),), each)
    assert (verdict.decision, verdict.rule) == ("unknown", "target")
    assert "no interval" in verdict.reason
    sure = replace(at(20, loss=0.3), intervals={"loss": (0.25, 0.35)})
    assert decide((sure,), each).stop


@given(
    rows=st.integers(1, 400),
    wanted=st.floats(0.01, 0.99),
    chance=st.sampled_from([0.05, 0.03, 0.0076, 0.001]),
)
def test_the_least_that_is_sure_is_sure_and_one_hit_fewer_is_not(rows, wanted, chance) -> None:
    least = least_sure(replace(at(20, accuracy=0.5, examples=1), of=rows), "accuracy", wanted, chance)
    hits = rows if least is None else round(least * rows)
    passes = [p_short(at(20, accuracy=n / rows, examples=rows), "accuracy", wanted) for n in (hits, hits - 1)]
    assert (passes[0] <= chance) == (least is not None)
    assert hits == 0 or passes[1] > chance


def test_the_least_that_is_sure_of_a_mean_lies_beyond_what_is_wanted_by_the_noise_of_all_rows() -> None:
    part = replace(at(20, loss=0.3), intervals={"loss": (0.2, 0.4)}, of=4 * EXAMPLES)
    error = 0.1 / 1.96 / 2  # four times the rows
    assert least_sure(part, "loss", 0.5, 0.05) == pytest.approx(0.5 - 1.645 * error, abs=1e-4)
    assert least_sure(at(20, loss=0.3), "loss", 0.5, 0.05) is None


def test_a_subset_does_not_pass_a_target() -> None:
    each = rules({"target": {"accuracy": 0.85}}, AMPLE)
    assert not decide((replace(at(20, accuracy=0.99), of=4000),), each).stop
    assert decide((replace(at(20, accuracy=0.99), of=EXAMPLES),), each).stop


def test_clusters_count_as_one_example_each() -> None:
    """The same hits, in fewer units that stand alone, make less sure."""
    each = rules({"target": {"accuracy": 0.85}, "sure": 0.95}, AMPLE)
    wide = replace(at(20, accuracy=0.91), intervals={"accuracy": (0.80, 0.98)}, clusters=20)
    assert decide((at(20, accuracy=0.91),), each).stop
    assert not decide((wide,), each).stop


# --- plateau ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patience", "stop"),
    [
        (3, 8),
        ("60 steps", 8),
        ("0.6 epochs", 8),
        ("60000 tokens", 8),
        ("100%", 10),  # the last gain came at step 100: another 100 steps
        ("10%", 8),  # at least three evaluations
    ],
)
def test_patience_in_every_unit(patience, stop) -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, *[0.6] * 10]
    each = rules({"plateau": {"metric": "accuracy", "patience": patience}}, AMPLE)
    assert first_stop(tuple(at(20 * k, accuracy=v) for k, v in enumerate(values)), each) == stop


@pytest.mark.parametrize(
    ("values", "noise", "stop"),
    [
        ([2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 0.0, 5),  # the very same: a bit an evaluation
        ([2.0, 1.0, 1.3, 1.3], 0.5, 2),  # clearly worse: many bits at once
        ([2.0, 1.0, 1.02, 1.02, 1.02, 1.02, 1.02], 1.0, 3),  # a little worse, in much noise
    ],
)
def test_patience_in_bits_of_evidence(values, noise, stop) -> None:
    each = rules({"plateau": {"patience": "4 bits"}}, AMPLE)
    assert first_stop(run(values, each, noise=noise), each) == stop


def test_patience_in_bits_without_comparisons_counts_evaluations() -> None:
    each = rules({"plateau": {"patience": "4 bits"}}, AMPLE)
    history = tuple(at(20 * k, loss=value) for k, value in enumerate([2.0, 1.0, 1.1, 1.1, 1.1, 1.1, 1.1]))
    assert first_stop(history, each) == 5


def test_a_lucky_draw_does_not_extend_patience_if_a_gain_must_be_sure() -> None:
    values = [2.0, 1.5, 1.2, 1.0, 1.0, 0.995, 0.99, 0.985, 0.98]
    plain, sure = ({"plateau": {"patience": 3, **more}} for more in ({}, {"sure": "95%"}))
    noisy = run(values, rules(sure, AMPLE), noise=1.0)
    assert first_stop(noisy, rules(sure, AMPLE)) is not None
    quiet = run(values, rules(sure, AMPLE), noise=0.0)
    assert first_stop(quiet, rules(sure, AMPLE)) is None
    assert first_stop(quiet, rules(plain, AMPLE)) is None


def test_small_gains_add_up_to_a_sure_one() -> None:
    """Each step alone is within the noise; against the last sure gain the sum is not."""
    each = rules({"plateau": {"patience": 6, "sure": "95%"}}, AMPLE)
    history = run([2.0 - 0.03 * k for k in range(25)], each, noise=0.4, seed=3)
    assert first_stop(history, each) is None


# --- overfitting ------------------------------------------------------------------------------

U = [2.0, 1.5, 1.2, 1.0, 1.05, 1.1, 1.2, 1.3]


@pytest.mark.parametrize(
    ("rule", "stop"),
    [
        ({}, 5),
        ({"looks": 1}, 4),
        ({"looks": 3}, 6),
        ({"worse_by": "15%"}, 7),  # 1.2 and 1.3 are more than 15 % above 1.0
        ({"worse_by": 5}, None),
        # Prechelt's P over the last five evaluations falls as training slows down, while the loss rises
        ({"progress": 0.05, "looks": 1}, 7),
        ({"progress": 1000}, None),
    ],
)
def test_overfitting(rule, stop) -> None:
    each = rules({"overfitting": rule}, AMPLE)
    assert first_stop(run(U, each, noise=0.05), each) == stop


def test_noise_alone_is_not_overfitting() -> None:
    each = rules({"overfitting": {"looks": 1, "worse_by": 0}}, AMPLE)
    stopped = [first_stop(run([1.0] * 30, each, noise=0.5, seed=seed), each) for seed in range(40)]
    assert sum(one is not None for one in stopped) <= 5


def test_a_metric_at_its_best_holds_overfitting_back() -> None:
    each = rules({"overfitting": {"unless_gaining": "accuracy"}}, AMPLE)
    history = run(U, each)
    rising = tuple(
        replace(one, metrics={**one.metrics, "accuracy": 0.5 + 0.01 * k}) for k, one in enumerate(history)
    )
    falling = tuple(replace(one, metrics={**one.metrics, "accuracy": 0.5}) for one in history)
    assert first_stop(rising, each) is None
    assert first_stop(falling, each) == 5
    assert decide(history, each).decision == "unknown"


def test_overfitting_without_any_evidence_is_unknown() -> None:
    each = rules({"overfitting": {}}, AMPLE)
    verdict = decide((at(0, loss=1.0), at(20, loss=9.0), at(40, loss=9.0)), each)
    assert (verdict.decision, verdict.rule) == ("unknown", "overfitting")


# --- guard ------------------------------------------------------------------------------------

GUARD = {"guard": {"metric": "accuracy", "max_drop": 0.05}}


@pytest.mark.parametrize(
    ("values", "stop"),
    [
        ([0.8, 0.79, 0.76], None),
        ([0.8, 0.74, 0.74], None),  # more than 0.05, but the intervals overlap
        ([0.8, 0.6], 1),
        ([0.6, 0.8, 0.5], None),  # against the first measurement, not against the best
        ([0.6, 0.8, 0.4], 2),
    ],
)
def test_guard(values, stop) -> None:
    each = rules(GUARD, AMPLE)
    assert first_stop(tuple(at(20 * k, accuracy=v) for k, v in enumerate(values)), each) == stop


def test_weights_that_forgot_too_much_are_not_kept() -> None:
    history = (
        at(0, loss=2.0, accuracy=0.80),
        at(20, loss=1.5, accuracy=0.78),
        at(40, loss=1.0, accuracy=0.70),
    )
    assert best_index(history, rules(AMPLE)) == 2
    assert best_index(history, rules(GUARD, AMPLE)) == 1


# --- forecast ---------------------------------------------------------------------------------


def power(c: float, a: float, b: float, looks: int, noise: float = 0.0) -> History:
    draw = np.random.default_rng(5)
    values = [c + a * (1 + k) ** -b + noise * draw.standard_normal() for k in range(looks)]
    return tuple(at(20 * k, loss=value) for k, value in enumerate(values))


def forecast(**keys: object) -> tuple[StopRule, ...]:
    return rules({"forecast": keys}, {"budget": {"steps": 1200}})


@pytest.mark.parametrize(
    ("curve", "rule", "stops"),
    [
        (power(1.0, 1.0, 1.5, 20, 0.002), {"min_gain": 0.05}, True),
        (power(1.0, 1.0, 0.2, 20, 0.002), {"min_gain": 0.05}, False),
        (power(1.0, 1.0, 1.0, 20, 0.002), {"target": 0.5}, True),
        (power(1.0, 1.0, 1.0, 20, 0.002), {"target": 1.03}, False),
        (power(1.0, 1.0, 1.0, 20, 0.002), {"worth": 0.001, "price": 100}, True),
        (power(1.0, 1.0, 0.2, 20, 0.002), {"worth": 10_000, "price": 1}, False),
        (power(1.0, 1.0, 1.5, 5), {"min_gain": 0.9}, False),  # too early to speak
    ],
)
def test_forecast(curve, rule, stops) -> None:
    verdict = decide(curve, forecast(**rule))
    assert verdict.stop == stops, verdict
    assert not stops or verdict.rule == "forecast"


def test_a_forecast_of_a_rising_metric() -> None:
    history = tuple(at(20 * k, accuracy=0.9 - 0.5 * (1 + k) ** -1.5) for k in range(20))
    assert decide(history, forecast(metric="accuracy", target=0.99)).stop
    assert not decide(history, forecast(metric="accuracy", target=0.897)).stop


def test_a_forecast_that_does_not_know_the_end_is_unknown() -> None:
    each = rules({"forecast": {"min_gain": 0.01}}, {"budget": {"money": 5, "price": 2}})
    history = tuple(
        replace(one, progress=replace(one.progress, seconds=0.0)) for one in power(1.0, 1.0, 1.5, 10)
    )
    assert decide(history, each).decision == "unknown"


# --- any, all, and what is missing ------------------------------------------------------------

YES, NO = {"budget": {"steps": 1}}, {"budget": {"steps": 99_999}}
UNKNOWN = {"target": {"f1": 0.5}}


@pytest.mark.parametrize(
    ("kind", "members", "decision"),
    [
        ("all", (YES, YES), "stop"),
        ("all", (YES, NO), "continue"),
        ("all", (YES, UNKNOWN), "unknown"),
        ("all", (NO, UNKNOWN), "continue"),
        ("any", (NO, YES), "stop"),
        ("any", (NO, NO), "continue"),
        ("any", (UNKNOWN, NO), "unknown"),
        ("any", (UNKNOWN, YES), "stop"),
        ("all", ({"any": [NO, YES]}, {"all": [YES, YES]}), "stop"),
        ("all", ({"any": [NO, NO]}, {"all": [YES, YES]}), "continue"),
    ],
)
def test_any_and_all(kind, members, decision) -> None:
    assert decide((at(20),), rules({kind: members}, AMPLE)).decision == decision


def test_all_of_several_is_named_after_its_target() -> None:
    each = rules({"all": [{"budget": {"steps": 10}}, {"target": {"accuracy": 0.8}}]}, AMPLE)
    verdict = decide((at(20, accuracy=0.9),), each)
    assert verdict.rule == "target"
    assert "reached" in verdict.reason
    assert "budget of 10 steps" in verdict.reason
    assert not decide((at(5, accuracy=0.9),), each).stop


def test_a_budget_inside_all_bounds_nothing() -> None:
    each = rules({"all": [{"budget": {"steps": 10}}, {"target": {"accuracy": 0.8}}]})
    assert decide((at(300, accuracy=0.1),), each).reason.startswith("the budget of 3 epochs")


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
@pytest.mark.parametrize(
    "rule",
    [
        {"target": {"accuracy": 0.5}},
        {"target": {"accuracy": 0.5}, "sure": 0.95},
        {"target": {"accuracy": 0.5}, "confirm": 2},
        {"plateau": {"metric": "accuracy", "patience": 1}},
        {"plateau": {"metric": "accuracy", "patience": "1%", "sure": 0.9}},
        {"overfitting": {"metric": "accuracy", "looks": 1}},
        {"forecast": {"metric": "accuracy", "min_gain": 0.5}},
        GUARD,
    ],
)
def test_what_is_missing_is_unknown_or_an_error_as_the_recipe_says(rule, value) -> None:
    newest = at(200, **({} if value is None else {"accuracy": value})) if value is None else at(200)
    if value is not None:
        newest = replace(newest, metrics={"loss": 1.0, "accuracy": value})
    history = (*(at(20 * k, accuracy=0.9) for k in range(8)), newest)
    assert decide(history, rules(rule, AMPLE)).decision == "unknown"
    verdict = decide(history, rules({**rule, "missing": "error"}, AMPLE))
    assert (verdict.decision, verdict.rule) == ("stop", "missing")
    assert "accuracy" in verdict.reason


# --- budgets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "progress", "decision"),
    [
        ({"energy": "1 Wh"}, {"joules": 3600.0}, "stop"),
        ({"energy": "1 Wh"}, {"joules": 3599.0}, "continue"),
        ({"energy": "1 Wh"}, {}, "unknown"),
        ({"energy": "1 Wh", "power": 360}, {"seconds": 10.0}, "stop"),
        ({"energy": "1 Wh", "power": 360}, {"seconds": 9.0}, "continue"),
        ({"money": 2, "price": 4}, {"seconds": 1800.0}, "stop"),
        ({"money": 2, "price": 4}, {"seconds": 1799.0}, "continue"),
        ({"money": 2, "price": 4}, {"seconds": 900.0, "device_seconds": 1800.0}, "stop"),
        ({"money": 2, "price": 4, "steps": 5}, {"step": 5}, "stop"),
    ],
)
def test_energy_and_money(budget, progress, decision) -> None:
    moment = {"step": 1, "epoch": 0.1, "tokens": 1, "seconds": 0.0, **progress}
    one = replace(at(1), progress=Progress(**moment))
    assert decide((one,), rules({"budget": budget})).decision == decision


# --- what a checkpoint holds ------------------------------------------------------------------


def test_a_run_that_was_continued_judges_like_one_that_was_not() -> None:
    each = rules({"overfitting": {}}, {"plateau": {"patience": "50%", "sure": "90%"}}, GUARD, AMPLE)
    draw = np.random.default_rng(2)
    totals = [draw.gamma(2.0, 0.5, EXAMPLES) * scale for scale in (1.0, 0.8, 0.7, 0.72, 0.9, 1.1)]

    def walk(*, through_json: bool) -> list:
        history, kept, verdicts = (), {}, []
        for k, values in enumerate(totals):
            newest = {"loss": scores_of(20 * k, list(values.astype(np.float32)))}
            one = at(20 * k, loss=newest["loss"].value, accuracy=0.8)
            history = (*history, replace(one, paired=comparisons(kept, newest), train_loss=1.0))
            kept = keep(kept, newest, history, each)
            verdicts.append(decide(history, each))
            if through_json:
                history = tuple(
                    measurement_from_plain(json.loads(json.dumps(measurement_to_plain(m)))) for m in history
                )
                kept = comparands_from_plain(json.loads(json.dumps(comparands_to_plain(kept))))
        return verdicts

    assert walk(through_json=True) == walk(through_json=False)
    assert any(verdict.rule == "overfitting" for verdict in walk(through_json=True))


def test_few_scores_are_kept_however_long_the_run() -> None:
    each = rules({"overfitting": {}}, {"plateau": {"patience": 50, "sure": "90%"}}, AMPLE)
    history = run([1.0 / (1 + k) for k in range(30)], each)
    assert sum(len(steps) for steps in references(history, each).values()) <= 3
    assert all(len(one.paired) <= 3 for one in history)


def test_an_older_measurement_can_be_read() -> None:
    old = {
        "progress": {"step": 1, "epoch": 0.1, "tokens": 5, "seconds": 2.0},
        "metrics": {"loss": None},
        "intervals": {},
        "examples": 3,
        "seconds": 0.1,
    }
    back = measurement_from_plain(old)
    assert back.paired == ()
    assert back.whole
    assert measurement_to_plain(back).keys() == old.keys()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.05, 0.95))
def test_being_sure_is_never_easier_than_the_value_alone(values, wanted) -> None:
    history = tuple(at(20 * k, accuracy=round(v * 400) / 400) for k, v in enumerate(values))
    plain = decide(history, rules({"target": {"accuracy": wanted}}, AMPLE))
    sure = decide(history, rules({"target": {"accuracy": wanted}, "sure": 0.95}, AMPLE))
    assert plain.stop or not sure.stop
