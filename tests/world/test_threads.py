"""Threads per process, and the cores a process may really use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.world.threads import exported_threads, threads_per_process, usable_cores

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("cores", "processes", "requested", "exported", "threads"),
    [
        (2, 1, None, None, 2),
        (2, 1, None, 1, 2),  # what accelerate launch exports when nobody said anything
        (2, 2, None, 1, 1),
        (2, 3, None, None, 1),
        (64, 8, None, 1, 8),
        (64, 6, None, None, 10),
        (64, 8, None, 4, 4),  # said by the user
        (2, 1, None, 64, 2),  # the host's cores, exported inside a container of two
        (64, 8, 1, 4, 1),  # the recipe speaks last
        (64, 8, 16, None, 16),
    ],
)
def test_each_process_takes_its_share(
    cores: int, processes: int, requested: int | None, exported: int | None, threads: int
) -> None:
    assert threads_per_process(cores, processes, requested, exported) == threads


@given(st.integers(1, 512), st.integers(1, 64))
def test_shares_are_never_zero_and_never_overlap(cores: int, processes: int) -> None:
    threads = threads_per_process(cores, processes)
    assert threads >= 1
    assert threads * processes <= max(cores, processes)
    assert (threads + 1) * processes > cores


@pytest.mark.parametrize(
    ("value", "number"),
    [(None, None), ("", None), ("4", 4), (" 4 ", 4), ("4,2", 4), ("many", None), ("0", None), ("-1", None)],
)
def test_exported_value_is_read(value: str | None, number: int | None) -> None:
    assert exported_threads(value) == number


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, CORES),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, CORES),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "6400000 100000\n"}, CORES),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "rubbish\n"}, CORES),
        # the limit stands on the group around this one
        (
            {
                "proc/self/cgroup": "0::/job.slice/task\n",
                "sys/fs/cgroup/job.slice/cpu.max": "100000 100000\n",
                "sys/fs/cgroup/job.slice/task/cpu.max": "max 100000\n",
            },
            1,
        ),
        # the host's path is not there inside the container, the limit stands at the mount
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "50000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            CORES,
        ),
    ],
)
def test_quota_of_the_control_group_counts(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    assert usable_cores(tree(tmp_path, files)) == cores


def test_a_fraction_is_rounded_down(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "190000 100000\n"}
    assert usable_cores(tree(tmp_path, files)) == 1


def test_bound_cores_count_on_the_real_system() -> None:
    core = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{core}}});"
        "from tunesmith.world.threads import usable_cores; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert 1 <= usable_cores() <= CORES
