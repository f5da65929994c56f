from __future__ import annotations

import math
import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.statistics.intervals import (
    bootstrap_interval,
    metric_interval,
    wilson_interval,
)
from tunesmith.metrics.compute import compute
from tunesmith.metrics.metric import AnsweredRow, answered
from tunesmith.metrics.statistics import statistics


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (10, 10), (340, 400), (1, 3), (50, 100), (1, 1)])
def test_wilson_agrees_with_scipy(hits, trials) -> None:
    theirs = scipy.stats.binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_and_stays_a_proportion(case) -> None:
    hits, trials = case
    low, high = wilson_interval(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert low < high


@pytest.mark.parametrize(("hits", "trials"), [(1, 0), (5, 4), (-1, 4)])
def test_wilson_refuses_what_is_no_proportion(hits, trials) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(hits, trials)


def test_the_bootstrap_of_a_mean_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 2000)
    low, high = bootstrap_interval(list(values), resamples=4000)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_the_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(2).exponential(1.0, 200)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    ours = bootstrap_interval(list(values), resamples=4000)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_a_ratio_of_sums_weighs_by_tokens() -> None:
    """One example of 1,000 tokens outweighs 99 of one token, as it does in the metric."""
    totals, counts = [1000 * 2.0] + [1.0] * 99, [1000] + [1] * 99
    low, high = bootstrap_interval(totals, counts, resamples=4000)
    assert low == pytest.approx(1.0)  # the long one was not drawn
    assert 1.9 < high < 2.0
    assert sum(totals) / sum(counts) == pytest.approx(1.91, abs=0.01)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator, covered = np.random.default_rng(4), 0
    for draw in range(200):
        low, high = bootstrap_interval(list(generator.normal(0, 1, 100)), resamples=300, seed=draw)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_seed_fixes_the_interval_and_blocks_do_not_show() -> None:
    values = list(np.random.default_rng(5).random(1500))
    assert bootstrap_interval(values, seed=7) == bootstrap_interval(values, seed=7)
    assert bootstrap_interval(values, seed=7) != bootstrap_interval(values, seed=8)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_no_interval_where_there_is_no_evidence(values) -> None:
    assert bootstrap_interval(values) is None


def test_equal_values_have_no_width() -> None:
    assert bootstrap_interval([0.5] * 10) == (0.5, 0.5)


def texts(count: int) -> tuple[list[str], list[str]]:
    words = ["a", "few", "short", "words", "that", "make", "up", "some", "text", "for", "every", "row"]
    generator = np.random.default_rng(6)
    references = [" ".join(generator.choice(words, 8)) for _ in range(count)]
    return [
        text.replace("few", "more") if index % 3 else text for index, text in enumerate(references)
    ], references


LABELS = (["a", "b", "b", "c", "a", "a", "d"] * 20, ["a", "b", "c", "c", "a", "b", "b"] * 20)
NUMBERS = ([1.0, 2.5, 2.0, 4.5, 6.0, 5.0] * 20, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] * 20)
SAMPLES = {
    "exact_match": texts(120),
    "f1": texts(120),
    "rouge_l": texts(60),
    "bleu": texts(60),
    "chrf": texts(60),
    "accuracy": LABELS,
    "macro_f1": LABELS,
    "weighted_precision": LABELS,
    "micro_recall": LABELS,
    "balanced_accuracy": LABELS,
    "mcc": LABELS,
    "f1[b]": LABELS,
    "mse": NUMBERS,
    "pearson": NUMBERS,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_statistics_of_a_metric_add_up_to_the_metric(name) -> None:
    stats = statistics(name, answered(*SAMPLES[name]))
    assert stats is not None
    assert float(stats.combine(stats.rows.sum(axis=0))) == pytest.approx(
        compute(name, *SAMPLES[name]), abs=1e-12
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_the_interval_of_a_metric_holds_its_value(name) -> None:
    low, high = metric_interval(name, answered(*SAMPLES[name]))
    assert low < compute(name, *SAMPLES[name]) < high


@pytest.mark.parametrize("name", ["pearson", "macro_f1", "mcc", "chrf", "f1[b]"])
def test_the_sums_of_a_resample_give_what_the_metric_gives_on_it(name) -> None:
    predictions, references = SAMPLES[name]
    stats = statistics(name, answered(predictions, references))
    drawn = np.random.default_rng(9).integers(0, len(references), len(references))
    ours = float(stats.combine(stats.rows[drawn].sum(axis=0)))
    assert ours == pytest.approx(
        compute(name, [predictions[i] for i in drawn], [references[i] for i in drawn])
    )


def test_the_interval_of_pearson_does_not_depend_on_where_zero_is() -> None:
    far = [1e9 + number for number in NUMBERS[0]]
    there = metric_interval("pearson", answered(far, NUMBERS[1]))
    here = metric_interval("pearson", answered(*NUMBERS))
    assert there == pytest.approx(here, abs=1e-6)


def test_where_there_is_no_value_there_is_no_interval() -> None:
    assert metric_interval("accuracy", answered(["a"], ["a"])) is None
    assert metric_interval("pearson", answered([1.0] * 9, [1.0] * 9)) is None
    assert metric_interval("recall[z]", answered(*LABELS)) is None


def sums(losses, counts, correct) -> list[AnsweredRow]:
    columns = zip(losses, counts, correct, strict=True)
    return [AnsweredRow(None, None, loss=loss, count=n, correct=hits) for loss, n, hits in columns]


def test_intervals_of_sums() -> None:
    rows = sums([2.0, 6.0, 1.0, 9.0], [2, 4, 1, 3], [1, 2, 1, 0])
    loss = metric_interval("loss", rows)
    assert loss[0] < 18 / 10 < loss[1]
    assert metric_interval("perplexity", rows) == tuple(np.exp(loss))
    low, high = metric_interval("token_accuracy", rows)
    assert low < 4 / 10 < high


def test_a_thousand_resamples_of_500_examples_cost_milliseconds() -> None:
    values, weights = list(np.random.default_rng(0).random(500)), [3] * 500
    took = []
    for _ in range(7):
        started = time.process_time()
        bootstrap_interval(values, weights)
        took.append(time.process_time() - started)
    assert min(took) < 0.1  # about 0.01 s on an idle core


def test_rows_that_belong_together_widen_the_interval() -> None:
    draw = np.random.default_rng(4)
    clusters = np.repeat(np.arange(40), 10)
    values = np.repeat(draw.normal(size=40), 10) + 0.1 * draw.normal(size=400)
    alone = bootstrap_interval(list(values))
    together = bootstrap_interval(list(values), clusters=clusters)
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])
    assert bootstrap_interval(list(values), clusters=range(400)) == alone


def test_proportions_and_losses_take_clusters_too() -> None:
    right = ["a"] * 30 + ["b"] * 30
    clusters = [0] * 10 + [1] * 20 + [2] * 30
    wide = metric_interval("accuracy", answered(right, ["a"] * 60), clusters=clusters)
    narrow = metric_interval("accuracy", answered(right, ["a"] * 60))
    assert wide[0] <= narrow[0]
    assert wide[1] >= narrow[1]
    rows = sums([float(n) for n in range(1, 61)], [2] * 60, [1] * 60)
    for name in ("loss", "perplexity", "token_accuracy"):
        assert metric_interval(name, rows, clusters=clusters) is not None
        assert metric_interval(name, rows, clusters=[0] * 60) is None


def test_intervals_over_clusters_cover_the_truth() -> None:
    draw, covered = np.random.default_rng(9), 0
    for _ in range(300):
        values = np.repeat(draw.normal(size=50), 4) + draw.normal(size=200)
        low, high = bootstrap_interval(list(values), clusters=np.repeat(np.arange(50), 4), resamples=200)
        covered += low <= 0.0 <= high
    assert 0.89 <= covered / 300 <= 0.99
