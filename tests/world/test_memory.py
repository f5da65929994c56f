"""Memory of the machine and of this process."""

import mmap
import platform
import threading
from pathlib import Path

import pytest

from tunesmith.world.memory import give_back_memory, machine_memory, resident_bytes

GIB = 2**30


def _machine(root: Path, **files: str) -> Path:
    names = {
        "meminfo": "proc/meminfo",
        "v2": "sys/fs/cgroup/memory.max",
        "v1": "sys/fs/cgroup/memory/memory.limit_in_bytes",
    }
    for key, text in files.items():
        path = root / names[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\n"}, 16 * GIB),
        ({"meminfo": "MemTotal:       16777216 kB\n", "v2": f"{4 * GIB}\n"}, 4 * GIB),
        ({"meminfo": "MemTotal:       16777216 kB\n", "v2": "max\n"}, 16 * GIB),
        ({"meminfo": "MemTotal:       16777216 kB\n", "v1": "9223372036854771712\n"}, 16 * GIB),
        ({"meminfo": "MemTotal:       16777216 kB\n", "v1": f"{2 * GIB}\n"}, 2 * GIB),
        ({}, None),
    ],
)
def test_the_tightest_limit_counts(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    assert machine_memory(_machine(tmp_path, **files)) == limit


def test_this_process_is_in_memory() -> None:
    before = resident_bytes()
    with mmap.mmap(-1, 64 * 2**20) as ballast:  # not from a heap, which may have room that it holds already
        ballast[:: 2**12] = b"x" * len(ballast[:: 2**12])
        assert before > 2**20
        assert 50 * 2**20 < resident_bytes() - before < 90 * 2**20


def test_what_threads_have_freed_goes_back_to_the_system() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("skipped: the C library keeps what was freed")
    last: list[bytearray] = []

    def load() -> None:
        many = [bytearray(b"x") * 50_000 for _ in range(2_000)]
        last.append(many[-1])  # lies above the others, which therefore stay

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    before = resident_bytes()
    give_back_memory()
    assert before - resident_bytes() > 50_000_000
    assert len(last[0]) == 50_000
