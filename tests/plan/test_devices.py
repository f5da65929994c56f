"""Devices by name, clusters by text, and what is said of a mistake."""

import pytest

from tunesmith.errors import UserError
from tunesmith.plan.devices import ALIASES, DEVICES, find_device, parse_cluster, recognise


@pytest.mark.parametrize(
    ("text", "machines", "each", "device"),
    [
        ("4x8xH100", 4, 8, "H100"),
        ("8xA100-80GB", 1, 8, "A100-80GB"),
        ("2X4xa100", 2, 4, "A100-80GB"),
        (" 1x1xrtx4090 ", 1, 1, "RTX4090"),
        ("8xNVIDIA L40S", 1, 8, "L40S"),
        ("64x8xMI300X", 64, 8, "MI300X"),
    ],
)
def test_a_cluster_is_machines_devices_and_a_type(text: str, machines: int, each: int, device: str) -> None:
    cluster = parse_cluster(text)
    assert (cluster.machines, cluster.per_machine, cluster.device.name) == (machines, each, device)
    assert cluster.size == machines * each


@pytest.mark.parametrize("text", ["H100", "8", "x8xH100", "0x8xH100", "4x0xH100", "-1xH100", "a lot", ""])
def test_what_is_no_cluster_is_shown_how_to_be_one(text: str) -> None:
    with pytest.raises(UserError, match="is no cluster") as error:
        parse_cluster(text)
    assert "4x8xH100" in error.value.hint


def test_an_unknown_device_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="no device is called `H10O`") as error:
        parse_cluster("8xH10O")
    assert "`H100`" in error.value.hint


def test_every_device_and_alias_is_found_and_plausible() -> None:
    for name in (*DEVICES, *ALIASES):
        device = find_device(name)
        assert 50e12 < device.flops < 3e15
        assert 10 * 2**30 < device.memory < 200 * 2**30
        # A byte moved for 100 to 450 operations: true of every device with matrix units so far.
        assert 70 < device.flops / device.bandwidth < 450
        assert device.source


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA L40S", "L40S"),
        ("AMD Instinct MI300X", "MI300X"),
        ("Some GPU", None),
    ],
)
def test_a_driver_s_name_is_recognised(driver: str, name: str | None) -> None:
    device = recognise(driver)
    assert (device.name if device else None) == name
