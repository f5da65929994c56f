"""Disks that are full, small, read-only or silent: made for real where the system lets us."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.launch.doctor.disk import check_disk, look_at_disk, nearest_folder
from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.folders import can_write, check_caches, check_shared, file_system_of
from tunesmith.launch.doctor.probe import run_probe
from tunesmith.launch.doctor.requirements import Requirements


@pytest.fixture
def mount(tmp_path: Path) -> Iterator:
    """Mounts a small file system in memory; skips where that is not allowed."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("no right to mount a file system here")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def by_subject(findings: list[DoctorFinding]) -> dict[str, DoctorFinding]:
    return {found.subject: found for found in findings}


def test_a_good_disk_and_nothing_left_on_it(tmp_path: Path) -> None:
    found = by_subject(check_disk(tmp_path / "runs" / "new"))
    assert {"space", "disk", "file clock"} <= set(found)
    assert found["file clock"].state == "ok"
    assert "MB/s" in found["disk"].what or "GB/s" in found["disk"].what
    assert list(tmp_path.iterdir()) == []


def test_a_small_disk(mount) -> None:
    folder = mount("size=3m")
    found = by_subject(check_disk(folder / "runs"))
    assert found["space"].state == "problem"
    assert "MB free" in found["space"].what
    assert "run.dir" in found["space"].remedy
    assert list(folder.iterdir()) == []


def test_a_full_disk(mount) -> None:
    folder = mount("size=1m")
    (folder / "filler").write_bytes(b"x" * 2**20)
    found = by_subject(check_disk(folder))
    assert found["disk"].state == "problem"
    assert "no space is left" in found["disk"].what
    assert [path.name for path in folder.iterdir()] == ["filler"]


def test_a_disk_without_room_for_more_files(mount) -> None:
    found = by_subject(check_disk(mount("size=64m,nr_inodes=20")))
    assert found["space"].state == "problem"
    assert "files more" in found["space"].what


def test_a_read_only_disk(mount) -> None:
    found = by_subject(check_disk(mount("size=8m,ro")))
    assert found["disk"].state == "problem"
    assert "read-only" in found["disk"].what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    found = by_subject(check_disk(tmp_path))
    tmp_path.chmod(0o700)
    assert "permission is denied" in found["disk"].what


def test_space_that_a_run_will_not_have(tmp_path: Path) -> None:
    found = by_subject(look_at_disk(tmp_path, needed_bytes=2**60))
    assert found["space"].state == "problem"
    assert "TB" in found["space"].what


def test_a_disk_that_does_not_answer_in_time(tmp_path: Path) -> None:
    (found,) = run_probe(
        "disk", {"folder": str(tmp_path), "needed_bytes": None}, seconds=0.01, remedy="look at it"
    )
    assert found == DoctorFinding("disk", "problem", "no answer within 0 s", "look at it")


def test_a_check_that_breaks_is_told_and_not_swallowed() -> None:
    (found,) = run_probe("disk", {}, seconds=20, remedy="look at it")
    assert found.state == "problem"
    assert "could not be carried out" in found.what
    assert "KeyError" in found.what


def test_the_nearest_folder_is_the_one_that_would_be_written(tmp_path: Path) -> None:
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "file").write_text("")
    assert nearest_folder(tmp_path / "file" / "b") == tmp_path


def test_caches(tmp_path: Path, monkeypatch, mount) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "mine"))
    good = {"HOME": str(tmp_path)}
    assert [found.state for found in check_caches(Requirements(), good)] == ["ok"]
    assert list(tmp_path.iterdir()) == []
    closed = mount("size=8m,ro")
    (found,) = check_caches(Requirements(deepspeed=True), good | {"TORCH_EXTENSIONS_DIR": str(closed)})
    assert found.state == "problem"
    assert "TORCH_EXTENSIONS_DIR" in found.remedy


def test_a_cache_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not can_write(tmp_path / "file" / "cache")


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
lustre /data/my\\040runs lustre rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/runs", "ext4"),
        ("/home/me/runs", "nfs4"),
        ("/home/local/runs", "xfs"),
        ("/homeless", "ext4"),
        ("/data/my runs/x", "lustre"),
    ],
)
def test_the_kind_of_file_system(folder: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert file_system_of(Path(folder), tmp_path / "mounts") == kind


def test_a_disk_of_this_machine_alone_is_warned_of(mount) -> None:
    (found,) = check_shared(mount("size=8m") / "runs")
    assert found.state == "warning"
    assert "tmpfs" in found.what
