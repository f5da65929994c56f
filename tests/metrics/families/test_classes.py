"""Metrics over predicted classes, each against scikit-learn, and at the edges."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.compute import compute
from tunesmith.metrics.metric import answered
from tunesmith.metrics.statistics import Recomputed, statistics

LABELS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcd")), min_size=1, max_size=40)
SCORES = {
    "precision": sklearn.metrics.precision_score,
    "recall": sklearn.metrics.recall_score,
    "f1": sklearn.metrics.f1_score,
}


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("score", SCORES)
@given(pairs=LABELS)
def test_averages_are_scikit_learns(score, average, pairs) -> None:
    ours, theirs = map(list, zip(*pairs, strict=True))
    expected = SCORES[score](theirs, ours, average=average, zero_division=0.0)
    assert compute(f"{average}_{score}", ours, theirs) == pytest.approx(expected, abs=1e-12)
    if (average, score) == ("macro", "f1"):
        assert compute("macro_f1", ours, theirs) == expected


@pytest.mark.parametrize("score", SCORES)
@given(pairs=LABELS)
def test_of_one_class_it_is_scikit_learns(score, pairs) -> None:
    ours, theirs = map(list, zip(*pairs, strict=True))
    for label in "abcde":
        value = compute(f"{score}[{label}]", ours, theirs)
        if math.isnan(value):
            # precision and F1 need the class on either side, recall among the references
            assert label not in theirs
            assert score == "recall" or label not in ours
        else:
            expected = SCORES[score](theirs, ours, labels=[label], average=None, zero_division=0.0)[0]
            assert value == pytest.approx(expected, abs=1e-12)


@given(pairs=LABELS)
def test_balanced_accuracy_and_mcc_are_scikit_learns(pairs) -> None:
    ours, theirs = map(list, zip(*pairs, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = sklearn.metrics.balanced_accuracy_score(theirs, ours)
        matthews = sklearn.metrics.matthews_corrcoef(theirs, ours)
    assert compute("balanced_accuracy", ours, theirs) == pytest.approx(balanced, abs=1e-12)
    assert compute("mcc", ours, theirs) == pytest.approx(matthews, abs=1e-12)


def test_a_class_that_is_never_predicted_scores_nothing() -> None:
    ours, theirs = ["ham"] * 4, ["ham", "ham", "spam", "ham"]
    values = {name: compute(f"{name}[spam]", ours, theirs) for name in SCORES}
    assert values == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert compute("mcc", ours, theirs) == 0.0
    assert compute("balanced_accuracy", ours, theirs) == 0.5


def test_a_class_that_no_row_has_has_no_value() -> None:
    assert math.isnan(compute("recall[spam]", ["spam", "ham"], ["ham", "ham"]))
    assert compute("precision[spam]", ["spam", "ham"], ["ham", "ham"]) == 0.0
    assert compute("f1[spam]", ["spam", "ham"], ["ham", "ham"]) == 0.0
    assert all(math.isnan(compute(f"{name}[spam]", ["ham"], ["ham"])) for name in SCORES)


def test_one_class_only_is_what_the_definitions_say() -> None:
    assert compute("mcc", ["a", "a"], ["a", "a"]) == 0.0
    assert compute("balanced_accuracy", ["a", "b"], ["a", "a"]) == 0.5
    assert compute("macro_f1", ["a", "a"], ["a", "a"]) == 1.0


def test_too_many_labels_for_a_table_are_resampled(monkeypatch) -> None:
    draw = np.random.default_rng(1)
    theirs = [str(label) for label in draw.integers(0, 5, 200)]
    ours = [label if draw.random() < 0.7 else "0" for label in theirs]
    summed = metric_interval("macro_recall", answered(ours, theirs))
    monkeypatch.setattr("tunesmith.metrics.families.classes.LARGEST", 100)
    assert isinstance(statistics("macro_recall", answered(ours, theirs)), Recomputed)
    assert metric_interval("macro_recall", answered(ours, theirs)) == pytest.approx(summed, abs=0.02)
