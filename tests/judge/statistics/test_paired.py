from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.statistics.example_scores import example_scores, pseudo_values, scores_of
from tunesmith.judge.statistics.paired import (
    p_better,
    p_worse,
    pair_from_plain,
    pair_to_plain,
    paired_bootstrap,
    paired_test,
)
from tunesmith.metrics.compute import compute
from tunesmith.metrics.metric import AnsweredRow, answered
from tunesmith.metrics.statistics import ratio_statistics, statistics

DRAW = np.random.default_rng(7)


def bits(right: int, of: int) -> list[float]:
    return [1.0] * right + [0.0] * (of - right)


def test_accuracy_counts_what_changed() -> None:
    older, newer = (
        scores_of(0, bits(60, 100)),
        scores_of(20, [1.0] * 58 + [0.0] * 2 + [1.0] * 12 + [0.0] * 28),
    )
    pair = paired_test("accuracy", newer, older)
    assert (pair.wins, pair.losses, pair.units, pair.against) == (12, 2, 100, 0)
    assert pair.gain == pytest.approx(0.10)
    # McNemar's exact test, one-sided: sum of C(14, k) / 2**14 for k from 12
    assert p_better(pair) == pytest.approx((91 + 14 + 1) / 2**14)
    assert p_worse(pair) > 0.99


def test_of_a_loss_less_is_better() -> None:
    pair = paired_test("loss", scores_of(2, [1.0, 2.0, 3.0]), scores_of(1, [2.0, 3.0, 4.5]))
    assert pair.gain == pytest.approx(3.5 / 3)
    assert pair.wins is None


def test_the_error_of_a_mean_is_the_textbook_one() -> None:
    ours, theirs = DRAW.normal(size=50), DRAW.normal(size=50)
    pair = paired_test("mse", scores_of(2, list(ours)), scores_of(1, list(theirs)))
    assert pair.error == pytest.approx((ours - theirs).std(ddof=1) / math.sqrt(50))


def test_the_error_of_a_loss_per_token_agrees_with_the_bootstrap() -> None:
    counts = DRAW.integers(1, 30, 300)
    older = counts * DRAW.gamma(2.0, 1.0, 300)
    newer = older * DRAW.uniform(0.85, 1.05, 300)
    pair = paired_test(
        "loss", scores_of(2, list(newer), list(counts)), scores_of(1, list(older), list(counts))
    )
    other, ends = paired_bootstrap(
        "loss", ratio_statistics(newer, counts), ratio_statistics(older, counts), against=1
    )
    assert pair.gain == pytest.approx(other.gain)
    assert pair.error == pytest.approx(other.error, rel=0.1)
    assert ends[0] < pair.gain < ends[1]


def test_clusters_widen_the_error_where_rows_belong_together() -> None:
    clusters = np.repeat(np.arange(30), 10)
    shift = np.repeat(DRAW.normal(size=30), 10)
    older = DRAW.normal(size=300)
    newer = scores_of(2, list(older + shift))
    alone = paired_test("mse", newer, scores_of(1, list(older)))
    together = paired_test("mse", newer, scores_of(1, list(older)), clusters)
    assert together.units == 30
    assert together.gain == pytest.approx(alone.gain)
    assert together.error > 2.5 * alone.error


def test_a_subset_is_compared_on_what_both_saw() -> None:
    whole, part = scores_of(1, bits(50, 100)), scores_of(2, bits(10, 10))
    pair = paired_test("accuracy", part, whole)
    assert pair.units == 10
    assert pair.gain == 0.0


@pytest.mark.parametrize("values", [[1.0], [1.0, math.nan], [1.0, math.inf], []])
def test_what_cannot_be_compared_is_not(values) -> None:
    assert paired_test("loss", scores_of(2, values), scores_of(1, values)) is None


def test_no_difference_is_no_evidence() -> None:
    pair = paired_test("accuracy", scores_of(2, bits(5, 9)), scores_of(1, bits(5, 9)))
    assert (pair.gain, pair.error) == (0.0, 0.0)
    assert p_better(pair) == p_worse(pair) == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=80))
def test_better_one_way_is_worse_the_other_way(both) -> None:
    ours, theirs = [float(a) for a, _ in both], [float(b) for _, b in both]
    forth = paired_test("accuracy", scores_of(2, ours), scores_of(1, theirs))
    back = paired_test("accuracy", scores_of(1, theirs), scores_of(2, ours))
    assert forth.gain == -back.gain
    assert p_better(forth) == p_worse(back)
    assert p_better(forth) + p_worse(forth) >= 1 - 1e-9


def test_the_test_keeps_its_error_rate() -> None:
    """Where nothing changed but chance, one in twenty at most is called better."""
    draw, called = np.random.default_rng(3), {"accuracy": 0, "mse": 0}
    for _ in range(1000):
        base = draw.normal(size=60)
        for metric in called:
            ours, theirs = base + draw.normal(size=60), base + draw.normal(size=60)
            if metric == "accuracy":
                ours, theirs = (ours > 0).astype(float), (theirs > 0).astype(float)
            pair = paired_test(metric, scores_of(2, list(ours)), scores_of(1, list(theirs)))
            called[metric] += p_better(pair) <= 0.05
    assert called["accuracy"] <= 65
    assert 30 <= called["mse"] <= 70


def test_a_pair_survives_json() -> None:
    pair = paired_test("accuracy", scores_of(2, bits(6, 9)), scores_of(1, bits(5, 9)))
    assert pair_from_plain(json.loads(json.dumps(pair_to_plain(pair)))) == pair


LABELS = [str(label) for label in DRAW.integers(0, 4, 200)]
GUESSES = [label if DRAW.random() < 0.7 else "0" for label in LABELS]


def test_pseudo_values_of_a_mean_are_the_values() -> None:
    stats = statistics("accuracy", answered(GUESSES, LABELS))
    assert pseudo_values(stats) == pytest.approx(
        [float(a == b) for a, b in zip(GUESSES, LABELS, strict=True)]
    )


@pytest.mark.parametrize("metric", ["macro_f1", "mcc", "f1[2]", "pearson"])
def test_pseudo_values_carry_any_metric_of_sums(metric) -> None:
    references = LABELS if metric != "pearson" else list(DRAW.normal(size=200))
    noise = DRAW.normal(size=200)
    ours = GUESSES if metric != "pearson" else [a + 0.5 * b for a, b in zip(references, noise, strict=True)]
    worse = (
        [guess if DRAW.random() < 0.9 else "1" for guess in ours]
        if metric != "pearson"
        else [a + 0.3 * b for a, b in zip(ours, DRAW.normal(size=200), strict=True)]
    )
    newer, older = answered(ours, references), answered(worse, references)
    scores = [example_scores(metric, step, rows) for step, rows in ((1, older), (2, newer))]
    assert scores[1].value == pytest.approx(compute(metric, ours, references), abs=0.01)
    pair = paired_test(metric, scores[1], scores[0])
    other, _ = paired_bootstrap(metric, statistics(metric, newer), statistics(metric, older), against=1)
    assert pair.gain == pytest.approx(other.gain, abs=0.01)
    assert pair.error == pytest.approx(other.error, rel=0.25)


def test_a_loss_is_a_ratio_as_it_stands() -> None:
    scores = example_scores("loss", 1, [AnsweredRow("a", "a", loss=3.0, count=3)])
    assert (scores.value, scores.counts.tolist()) == (1.0, [3.0])
