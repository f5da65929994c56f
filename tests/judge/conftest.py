"""Short ways to write a history."""

from __future__ import annotations

import pytest

from tunesmith.judge.measurement import History, Measurement, Progress


def measured(step: int, **metrics: float) -> Measurement:
    progress = Progress(step=step, epoch=step / 100, tokens=step * 1000, seconds=step * 1.0)
    return Measurement(progress=progress, metrics=metrics, examples=400, seconds=1.0)


def series(metric: str, *values: float) -> History:
    """One measurement every 20 steps, with an unremarkable loss beside the metric."""
    others = {} if metric == "loss" else {"loss": 1.0}
    return tuple(measured(20 * index, **others, **{metric: value}) for index, value in enumerate(values))


@pytest.fixture(scope="session")
def make_measurement():
    return measured


@pytest.fixture(scope="session")
def make_series():
    return series
