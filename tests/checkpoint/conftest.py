"""Real processes that die where they are told to, and a file system that is really full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Kills the process at the n-th file operation after `armed()`; the interpreter announces each of them.
DIES_AT = """
import os, signal, sys
from pathlib import Path
folder, at = Path(sys.argv[1]), int(sys.argv[2])
count = None
def on_event(event, arguments):
    global count
    if count is None or event not in {"open", "os.rename", "os.chmod", "os.remove", "os.rmdir", "os.mkdir"}:
        return
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(on_event)
def armed():
    global count
    count = 0
"""


@pytest.fixture(scope="session")
def python():
    """Run Python code in a process of its own."""

    def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture(scope="session")
def dies_at(python):
    """Run code that kills itself at its n-th file operation; true if it got to its end instead."""

    def run(code: str, folder: Path, at: int) -> bool:
        done = python(DIES_AT + code, folder, at)
        assert done.returncode in (0, -9), done.stderr
        return done.returncode == 0

    return run


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where it may be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], stderr=subprocess.DEVNULL
    )
    if not mounted:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
