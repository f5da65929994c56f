"""Memory, shared memory, open files and threads, as the system says."""

import resource
from pathlib import Path

import pytest

from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.limits import available_memory, check_limits
from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.world.threads import usable_cores


def tree(folder: Path, *, available_kb: int, group: str = "", most: str = "max", used: int = 0) -> Path:
    """A small tree in place of the kernel's."""
    for name in ("proc/self", f"sys/fs/cgroup{group}", "dev/shm"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "proc/meminfo").write_text(f"MemTotal: 64000000 kB\nMemAvailable: {available_kb} kB\n")
    (folder / "proc/self/cgroup").write_text(f"0::{group or '/'}\n")
    (folder / f"sys/fs/cgroup{group}/memory.max").write_text(f"{most}\n")
    (folder / f"sys/fs/cgroup{group}/memory.current").write_text(f"{used}\n")
    return folder


def by_subject(findings: list[DoctorFinding]) -> dict[str, DoctorFinding]:
    return {found.subject: found for found in findings}


@pytest.mark.parametrize(
    ("most", "used", "bytes_free"),
    [("max", 0, 8_000_000 * 1024), ("3000000000", 1_000_000_000, 2_000_000_000), ("1000", 5000, 0)],
)
def test_a_control_group_limits_memory(most: str, used: int, bytes_free: int, tmp_path: Path) -> None:
    root = tree(tmp_path, available_kb=8_000_000, group="/job/step", most=most, used=used)
    assert available_memory(root) == bytes_free


@pytest.mark.parametrize(("processes", "state"), [(1, "ok"), (4, "warning")])
def test_memory_is_shared_among_the_processes(processes: int, state: str, tmp_path: Path) -> None:
    root = tree(tmp_path, available_kb=6_000_000)
    found = by_subject(check_limits(Requirements(processes=processes), root=root, environ={}))
    assert found["memory"].state == state


def test_this_machine_says_how_much_memory_is_free() -> None:
    free = available_memory()
    assert free is not None
    assert 2**24 < free < 2**50


def test_a_missing_shared_memory_matters_to_several_processes_only(tmp_path: Path) -> None:
    root = tree(tmp_path, available_kb=8_000_000)
    (root / "dev/shm").rmdir()
    assert "shared memory" not in by_subject(check_limits(Requirements(), root=root, environ={}))
    found = by_subject(check_limits(Requirements(processes=2), root=root, environ={}))
    assert found["shared memory"].state == "problem"


def test_few_open_files(monkeypatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        found = by_subject(check_limits(Requirements()))["open files"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found.state == "warning"
    assert "ulimit -n" in found.remedy or "limits.conf" in found.remedy


def test_too_many_threads() -> None:
    cores = usable_cores()
    found = by_subject(check_limits(Requirements(processes=2), environ={"OMP_NUM_THREADS": str(cores * 4)}))
    assert found["threads"].state == "warning"
    assert f"OMP_NUM_THREADS={max(1, cores // 2)}" in found["threads"].remedy
