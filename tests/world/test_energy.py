"""Energy from the kernel's counters: files that count up, and begin anew at their range."""

from pathlib import Path

import pytest

from tunesmith.world.energy import device_meter, package_meter

RANGE = 1000_000_000


def counters(root: Path, **microjoules: int) -> Path:
    for name, value in microjoules.items():
        folder = root / "sys/class/powercap" / f"intel-rapl:{name}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(name.rstrip("0123456789").replace("package", "package-0") + "\n")
        (folder / "energy_uj").write_text(f"{value}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    return root


def test_what_was_spent_since_the_call_before(tmp_path) -> None:
    counters(tmp_path, package0=5_000_000, package1=7_000_000, dram=1_000_000, psys=99_000_000, core=1)
    meter = package_meter(tmp_path)
    assert meter is not None
    assert meter() == 0
    counters(tmp_path, package0=6_000_000, package1=9_500_000, dram=1_250_000, psys=200_000_000, core=10**9)
    assert meter() == pytest.approx(1 + 2.5 + 0.25), "psys and the cores would count the same joules again"
    assert meter() == 0


def test_a_counter_that_begins_anew(tmp_path) -> None:
    counters(tmp_path, package0=RANGE - 2_000_000)
    meter = package_meter(tmp_path)
    assert meter is not None
    counters(tmp_path, package0=3_000_000)
    assert meter() == pytest.approx(5.0)


def test_without_a_counter_nothing_is_told(tmp_path) -> None:
    assert package_meter(tmp_path) is None
    counters(tmp_path, psys=5)
    assert package_meter(tmp_path) is None
    counters(tmp_path, package0=5)
    (tmp_path / "sys/class/powercap/intel-rapl:package0/energy_uj").unlink()
    assert package_meter(tmp_path) is None, "a counter that may not be read is none"


def test_without_a_driver_a_device_tells_nothing() -> None:
    assert device_meter("GPU-0", library="libno-such-driver.so.1") is None
    assert device_meter("GPU-0", library="libc.so.6") is None
