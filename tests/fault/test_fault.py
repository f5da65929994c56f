import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from tunesmith.fault import VARIABLE, InjectedFault, fault


@pytest.fixture
def armed(monkeypatch):
    def arm(orders: str, rank: str | None = None) -> None:
        monkeypatch.setenv(VARIABLE, orders)
        monkeypatch.setattr("tunesmith.fault._reached", type(fault.__globals__["_reached"])())
        if rank is not None:
            monkeypatch.setenv("RANK", rank)

    return arm


def test_nothing_happens_unasked(monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    fault("forward")


def test_only_the_named_point_and_time(armed) -> None:
    armed("forward at=3 do=raise; save-write do=ENOSPC")
    for _ in range(2):
        fault("forward")
    with pytest.raises(InjectedFault, match="forward"):
        fault("forward")
    fault("forward")
    with pytest.raises(OSError, match="save-write") as error:
        fault("save-write")
    assert error.value.errno == errno.ENOSPC
    fault("save-write")


@pytest.mark.parametrize(("rank", "strikes"), [("0", False), ("1", True)])
def test_only_the_named_process(armed, rank, strikes) -> None:
    armed("data rank=1 do=raise", rank)
    if strikes:
        with pytest.raises(InjectedFault):
            fault("data")
    else:
        fault("data")


def test_every_time_and_a_mark(armed, tmp_path) -> None:
    armed(f"log at=* do=sleep:0.05 mark={tmp_path}/mark")
    start = time.monotonic()
    fault("log")
    fault("log")
    assert time.monotonic() - start >= 0.1
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_are_real(number) -> None:
    code = "from tunesmith.fault import fault; fault('exit')"
    env = {**os.environ, VARIABLE: f"exit do={number.name}"}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == -number
