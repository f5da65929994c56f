"""Paired statistics against values known from elsewhere, by symmetry, and by how often they err."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.metrics.compute import compute
from tunesmith.metrics.families.likelihood import from_sums
from tunesmith.report.compare.paired import compare_rows, holm, mcnemar, randomisation, statistics_of
from tunesmith.tasks.task import Scored


def answers(right: list[bool], losses: list[float] | None = None, words=("yes", "no")) -> list[Scored]:
    losses = losses or [0.0 if hit else 1.0 for hit in right]
    return [
        Scored(f"{n}", loss, 2, 2 * hit, words[0] if hit else words[1], words[0], "")
        for n, (hit, loss) in enumerate(zip(right, losses, strict=True))
    ]


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (1, 0, 1.0),
        (6, 0, 2 / 64),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (3, 12, 0.03515625),
        (1500, 1300, 0.000168),
    ],
)
def test_mcnemar(better: int, worse: int, expected: float) -> None:
    assert mcnemar(better, worse) == pytest.approx(expected, rel=0.02)
    assert mcnemar(worse, better) == mcnemar(better, worse)


@given(better=st.integers(0, 60), worse=st.integers(0, 60))
def test_mcnemar_is_the_sign_test(better: int, worse: int) -> None:
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    assert mcnemar(better, worse) == pytest.approx(min(1.0, 2 * tail / 2**n))


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_randomisation_is_the_exact_test_where_all_swaps_can_be_counted() -> None:
    first, second = [0.1, 0.5, 0.9, 0.4, 0.3, 0.8], [0.3, 0.4, 1.4, 0.9, 0.5, 0.85]
    change = np.subtract(second, first)
    signs = np.array(list(itertools.product([1, -1], repeat=6)))
    exact = (np.abs(signs @ change) >= abs(change.sum()) - 1e-12).mean()
    ours = [answers([True] * 6, losses) for losses in (first, second)]
    p = randomisation(*[statistics_of("loss", scored) for scored in ours])
    assert p == pytest.approx(exact, abs=0.02)


def test_no_difference_is_no_difference() -> None:
    same = answers([True, False] * 20)
    for metric in ("exact_match", "loss", "macro_f1", "token_accuracy", "perplexity"):
        found = compare_rows(metric, same, same)
        assert found.difference == 0
        assert found.p_value == 1.0
        assert found.interval == (0.0, 0.0)


@pytest.mark.parametrize(
    "metric", ["loss", "perplexity", "token_accuracy", "exact_match", "accuracy", "macro_f1", "f1", "bleu"]
)
def test_values_are_those_of_an_evaluation(metric: str) -> None:
    noise = np.random.default_rng(3)
    hits = [list(noise.random(60) < share) for share in (0.5, 0.8)]
    runs = [answers(hit, list(noise.random(60)), ("a red house stands here", "a red car")) for hit in hits]
    found = compare_rows(metric, *runs)
    for value, scored in zip((found.first, found.second), runs, strict=True):
        if metric in ("loss", "perplexity", "token_accuracy"):
            columns = [[getattr(one, key) for one in scored] for key in ("loss", "count", "correct")]
            assert value == pytest.approx(from_sums(metric, *columns))
        else:
            predictions, references = [o.prediction for o in scored], [o.reference for o in scored]
            assert value == pytest.approx(compute(metric, predictions, references), abs=1e-6)
    assert found.interval[0] <= found.difference <= found.interval[1]


def test_turned_round_the_signs_turn() -> None:
    noise = np.random.default_rng(5)
    first, second = (answers(list(noise.random(80) < share)) for share in (0.5, 0.8))
    there, back = compare_rows("exact_match", first, second), compare_rows("exact_match", second, first)
    assert back.difference == -there.difference
    assert back.effect == pytest.approx(-there.effect)
    assert (back.better, back.worse) == (there.worse, there.better)
    assert back.p_value == there.p_value < 0.01
    assert there.test == "McNemar"


def test_a_smaller_loss_is_a_gain() -> None:
    found = compare_rows(
        "loss", answers([True] * 30, [1.0 + n / 99 for n in range(30)]), answers([True] * 30, [0.5] * 30)
    )
    assert found.difference < 0
    assert found.effect > 0.8
    assert (found.better, found.worse) == (30, 0)
    assert found.p_value == pytest.approx(0.0001)


def test_losses_that_are_no_numbers_are_not_tested() -> None:
    found = compare_rows("loss", answers([True] * 5), answers([True] * 5, [0.1, math.nan, 0.1, 0.1, 0.1]))
    assert (found.p_value, found.interval, found.effect) == (None, None, None)


@pytest.mark.parametrize("metric", ["exact_match", "loss"])
def test_where_nothing_differs_five_of_a_hundred_seem_to(metric: str) -> None:
    """The stated error: under the null hypothesis p is below 0.05 in at most about 5 % of comparisons."""
    noise, wrong = np.random.default_rng(11), 0
    for turn in range(200):
        hits = [list(noise.random(60) < 0.7) for _ in range(2)]
        runs = [answers(hit, list(noise.exponential(size=60))) for hit in hits]
        if metric == "loss":
            p = randomisation(*[statistics_of("loss", run) for run in runs], seed=turn, shuffles=199)
        else:
            p = compare_rows(metric, *runs).p_value
        wrong += p < 0.05
    assert wrong <= 20, "5 % of 200 are 10; 20 or more would be a chance of 1 in 500"


def labelled(guesses: list[str], truth: list[str], sure: float = 0.9) -> list[Scored]:
    """Answers of a classifier of a and b that gives its guess a probability."""
    return [
        Scored(f"{n}", 0.5, 1, guess == right, guess, right, "", values={guess: math.log(sure - n / 1000)}
               | {label: math.log(1 - sure + n / 1000) for label in "ab" if label != guess})
        for n, (guess, right) in enumerate(zip(guesses, truth, strict=True))
    ]  # fmt: skip


@pytest.mark.parametrize("metric", ["macro_f1", "mcc", "balanced_accuracy", "weighted_precision"])
def test_a_label_that_only_one_run_gives_compares_the_same_labels(metric: str) -> None:
    truth = ["a", "b"] * 20
    first, second = ["a" if n % 5 else "c" for n in range(40)], ["a", "b"] * 19 + ["b", "a"]
    found = compare_rows(metric, labelled(first, truth), labelled(second, truth))
    assert found.first == pytest.approx(compute(metric, first, truth))
    assert found.second == pytest.approx(compute(metric, second, truth))
    assert found.p_value < 0.01


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision[a]"])
def test_a_metric_that_is_no_function_of_sums_is_computed_again(metric: str) -> None:
    truth = ["a", "b"] * 20
    worse = labelled(["a" if n % 3 else "b" for n in range(40)], truth)
    better = labelled([*truth[:38], "b", "a"], truth)
    found, same = compare_rows(metric, worse, better), compare_rows(metric, worse, worse)
    assert found.interval[0] < found.difference < found.interval[1]
    assert found.p_value < 0.01
    assert (same.difference, same.interval, same.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_without_probabilities_there_is_no_comparison() -> None:
    truth = ["a", "b"] * 20
    with pytest.raises(ValueError, match="roc_auc cannot be made"):
        compare_rows("roc_auc", *([Scored("1", 0.5, 1, 1, "a", one, "") for one in truth],) * 2)
