"""Targets that a finished model's numbers can tell apart, and others."""

import pytest

from tunesmith.errors import UserError
from tunesmith.tasks.targets import standardisation


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([1_700_000_000 + i for i in range(60)], "numbers are 203 apart"),
        ([-1e9, -1e9 + 1], "could not tell them apart"),
        ([1e39, 2.0], "more than a model's numbers"),
        ([1e308, -1e308], "more than a model's numbers"),
        ([1e-40, 3e-40], "could not tell them apart"),
    ],
)
def test_targets_that_float32_cannot_tell_apart_are_refused(targets, words) -> None:
    with pytest.raises(UserError, match=words) as caught:
        standardisation(targets)
    assert caught.value.where == "data.train"


@pytest.mark.parametrize(
    ("targets", "mean", "scale"),
    [
        ([1990.0, 2010.0], 2000.0, 10.0),
        ([7.0, 7.0], 7.0, 1.0),
        ([0.0], 0.0, 1.0),
        ([1.7e9, 1.7e9 + 2e7], 1.71e9, 1e7),
        ([-1e-6, 1e-6], 0.0, 1e-6),
    ],
)
def test_others_are_taken(targets, mean, scale) -> None:
    assert standardisation(targets) == pytest.approx((mean, scale))
