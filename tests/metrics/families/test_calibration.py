"""Calibration against values worked out by hand, and by scikit-learn."""

import numpy as np
import pytest

from tunesmith.judge.statistics.example_scores import example_scores
from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.compute import metric_value
from tunesmith.metrics.families.calibration import BINS, brier
from tunesmith.metrics.metric import AnsweredRow


def confident(confidences, hits) -> list[AnsweredRow]:
    pairs = zip(confidences, hits, strict=True)
    return [AnsweredRow("a", "a" if hit else "b", given={"confidence": each}) for each, hit in pairs]


def given(name: str, values) -> list[AnsweredRow]:
    return [AnsweredRow("a", "a", given={name: each}) for each in values]


def test_brier_is_scikit_learns_for_two_classes() -> None:
    from sklearn.metrics import brier_score_loss

    generator = np.random.default_rng(0)
    chances, truth = generator.random(50), generator.integers(0, 2, 50)
    ours = [brier([1 - p, p], int(t)) for p, t in zip(chances, truth, strict=True)]
    assert metric_value("brier", given("brier", ours)) == pytest.approx(2 * brier_score_loss(truth, chances))


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
    assert metric_value("ece", confident(confidences, hits)) == pytest.approx(ece)


def test_a_calibrated_classifier_has_an_interval_near_nothing_and_an_overconfident_one_not() -> None:
    generator = np.random.default_rng(1)
    shares = generator.uniform(0.5, 1, 2000)
    honest = (generator.random(2000) < shares).astype(float)
    boastful = (generator.random(2000) < shares - 0.3).astype(float)
    low, high = metric_interval("ece", confident(shares, honest))
    assert 0 <= low < high < 0.06
    low, high = metric_interval("ece", confident(shares, boastful))
    assert 0.2 < low < 0.3 < high < 0.4
    rows = confident(shares, boastful)
    scores = example_scores("ece", 3, rows)
    assert scores is not None
    assert scores.value == pytest.approx(metric_value("ece", rows), abs=0.01)


def test_what_is_not_known_is_not_a_number() -> None:
    assert np.isnan(metric_value("ece", confident([0.5, np.nan], [1, 1])))
    assert metric_interval("ece", confident([0.5, np.nan], [1, 1])) is None
    assert np.isnan(metric_value("regex", given("regex", [1.0, np.nan])))
    assert metric_interval("regex", given("regex", [1.0, np.nan])) is None
    assert BINS == 15
