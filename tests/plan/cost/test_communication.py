"""Bytes that a process receives: ZeRO's volumes."""

import pytest
from jobs import TINY, job

from tunesmith.plan.cost.communication import communication_of

WEIGHTS = job(TINY).network.weights
ADAPTERS = job(TINY, rank=4).network.weights


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_gradients_travel_twice_once_a_step(stage: int) -> None:
    traffic = communication_of(WEIGHTS, stage=stage, processes=4, frozen_bytes=2.0, blocks=2)
    assert traffic.total(1) == pytest.approx(2 * 4 * WEIGHTS.total * 3 / 4)
    assert traffic.total(8) == traffic.total(1)


def test_stage_3_sends_half_as_much_again_in_every_pass() -> None:
    two = communication_of(WEIGHTS, stage=2, processes=4, frozen_bytes=2.0, blocks=2)
    three = communication_of(WEIGHTS, stage=3, processes=4, frozen_bytes=2.0, blocks=2)
    assert three.total(1) == pytest.approx(1.5 * two.total(1))
    assert three.total(8) == pytest.approx(8 * three.total(1))


def test_adapters_send_next_to_nothing_unless_weights_are_shared() -> None:
    two = communication_of(ADAPTERS, stage=2, processes=4, frozen_bytes=2.0, blocks=2)
    three = communication_of(ADAPTERS, stage=3, processes=4, frozen_bytes=2.0, blocks=2)
    assert two.total(1) == pytest.approx(2 * 4 * ADAPTERS.trained * 3 / 4)
    assert three.total(1) > 2 * 2 * ADAPTERS.frozen * 3 / 4


def test_one_process_receives_nothing() -> None:
    for stage in range(4):
        assert communication_of(WEIGHTS, stage=stage, processes=1, frozen_bytes=2.0, blocks=2).total(3) == 0
