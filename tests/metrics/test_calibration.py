"""Calibration against values worked out by hand, and by scikit-learn."""

import numpy as np
import pytest

from tunesmith.judge.statistics.example_scores import example_scores
from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.calibration import BINS, brier
from tunesmith.metrics.compute import compute


def test_brier_is_scikit_learns_for_two_classes() -> None:
    from sklearn.metrics import brier_score_loss

    generator = np.random.default_rng(0)
    chances, truth = generator.random(50), generator.integers(0, 2, 50)
    ours = [brier([1 - p, p], int(t)) for p, t in zip(chances, truth, strict=True)]
    assert compute("brier", ours, [None] * 50) == pytest.approx(2 * brier_score_loss(truth, chances))


@pytest.mark.parametrize(
    ("confidences", "hits", "ece"),
    [
        ([0.9, 0.9], [1, 0], 0.4),
        ([1.0, 1.0, 0.5, 0.5], [1, 1, 1, 0], 0.0),
        ([0.7, 0.7, 0.2], [0, 0, 1], (1.4 + 0.8) / 3),
        ([1.0], [0], 1.0),
        ([0.0], [0], 0.0),
    ],
)
def test_expected_calibration_error(confidences, hits, ece) -> None:
    assert compute("ece", confidences, hits) == pytest.approx(ece)


def test_a_calibrated_classifier_has_an_interval_near_nothing_and_an_overconfident_one_not() -> None:
    generator = np.random.default_rng(1)
    confident = generator.uniform(0.5, 1, 2000)
    honest = (generator.random(2000) < confident).astype(float)
    boastful = (generator.random(2000) < confident - 0.3).astype(float)
    low, high = metric_interval("ece", confident, honest)
    assert 0 <= low < high < 0.06
    low, high = metric_interval("ece", confident, boastful)
    assert 0.2 < low < 0.3 < high < 0.4
    scores = example_scores(
        "ece", 3, losses=[], counts=[], correct=[], predictions=list(confident), references=list(boastful)
    )
    assert scores is not None
    assert scores.value == pytest.approx(compute("ece", confident, boastful), abs=0.01)


def test_what_is_not_known_is_not_a_number() -> None:
    assert np.isnan(compute("ece", [0.5, np.nan], [1.0, 1.0]))
    assert metric_interval("ece", [0.5, np.nan], [1.0, 1.0]) is None
    assert np.isnan(compute("regex", [1.0, np.nan], [None, None]))
    assert metric_interval("regex", [1.0, np.nan], [None, None]) is None
    assert BINS == 15
