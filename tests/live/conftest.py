"""Runs that go on: real processes that own a run directory and write its journal."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def until() -> Callable:
    def wait(condition, what: str, seconds: float = 60.0):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def write(tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a run that writes; whatever is left at the end is killed."""
    started: list[subprocess.Popen] = []

    def start(run_dir: Path, *, steps: int = 30, pause: float = 0.01, status: str = "", wait: bool = True):
        command = [
            sys.executable,
            str(WRITER),
            str(run_dir),
            str(steps),
            str(pause),
            *([status] if status else []),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        if wait:
            assert process.stdout is not None
            assert process.stdout.readline(), "it began"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
