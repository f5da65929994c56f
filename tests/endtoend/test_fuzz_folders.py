"""A short piece of the fuzz of foreign folders, and that it notices what it is for."""

import importlib.util
import signal
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "fuzz_folders", Path(__file__).parents[2] / "benchmarks" / "fuzz_folders.py"
)
assert spec is not None
assert spec.loader is not None
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


@pytest.fixture(autouse=True)
def alarm():
    before = signal.signal(signal.SIGALRM, fuzz.late)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seed", [0, 17, 18, 19])
def test_odd_folders_are_read(tmp_path, seed: int) -> None:
    assert fuzz.run_seed(seed, tmp_path, fuzz.make_good) == []


@pytest.mark.parametrize(
    ("name", "said", "wrong"),
    [
        ("report", f"<p>{fuzz.OUTSIDE}</p>", "outside"),
        ("report", "<script>alert(1)</script>", "HTML"),
        ("watch", "\x1b]0;x\x07", "terminal"),
        ("status", "fine", ""),
    ],
)
def test_it_notices(name: str, said: str, wrong: str) -> None:
    found = fuzz.trouble(name, lambda: said)
    assert wrong in found
    assert bool(wrong) == bool(found)


def test_it_notices_a_fault_and_a_wait(monkeypatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    assert "no end" in fuzz.trouble("ui", signal.pause)
    assert "ZeroDivisionError" in fuzz.trouble("ui", lambda: str(1 // 0))
