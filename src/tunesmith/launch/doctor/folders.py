"""Whether the caches can be written: of tunesmith, of the hub's client, and of compiled ops."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tunesmith.launch.doctor.disk import nearest_folder
from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.sources.cache import cache_folder


def check_caches(needs: Requirements, environ: Mapping[str, str] = os.environ) -> list[DoctorFinding]:
    """One finding for each cache that cannot be written, or one that says that all can."""
    home = Path(environ.get("HOME") or Path.home())
    general = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    hub = environ.get("HF_HUB_CACHE") or Path(environ.get("HF_HOME") or general / "huggingface") / "hub"
    folders = {"TUNESMITH_CACHE": cache_folder(), "HF_HOME": Path(hub)}
    if needs.deepspeed:
        folders["TORCH_EXTENSIONS_DIR"] = Path(
            environ.get("TORCH_EXTENSIONS_DIR") or general / "torch_extensions"
        )
    closed = [_closed(name, folder) for name, folder in folders.items() if not can_write(folder)]
    return closed or [
        DoctorFinding("caches", "ok", f"{', '.join(map(str, folders.values()))} can be written")
    ]


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder made; tried, since root passes every question."""
    place = nearest_folder(folder)
    if any(part.exists() and not part.is_dir() for part in (folder, *folder.parents)):
        return False
    trial = place / f".tunesmith-doctor-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def _closed(name: str, folder: Path) -> DoctorFinding:
    what = f"the cache {folder} cannot be written"
    return DoctorFinding(
        "caches", "problem", what, f"change its permissions, or export {name}=/a/folder/that/can"
    )


LOCAL = frozenset(
    ("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
)
"""File systems of one machine; whatever else there is (nfs, lustre, gpfs, beegfs, fuse) may be shared."""


def check_shared(run_dir: Path, *, mounts: Path = Path("/proc/self/mounts")) -> list[DoctorFinding]:
    """What the kind of file system says about a folder that machines must share.

    Only a hint: several "nodes" may be one machine, and a shared disk may be mounted as ext4. Inside an
    allocation each node is asked.
    """
    folder = nearest_folder(run_dir.absolute())
    kind = file_system_of(folder, mounts)
    if kind is None:
        return [
            DoctorFinding("shared folder", "unknown", f"the kind of file system of {folder} is not known")
        ]
    if kind in LOCAL:
        what = f"{folder} is on a file system of this machine alone ({kind}); other machines may not see it"
        remedy = (
            "put `run.dir` on the cluster's shared file system; ignore this if the nodes are this machine"
        )
        return [DoctorFinding("shared folder", "warning", what, remedy)]
    return [DoctorFinding("shared folder", "ok", f"{folder} is on {kind}")]


def file_system_of(folder: Path, mounts: Path) -> str | None:
    """Kind of the file system that holds a folder: that of the longest mount point above it."""
    try:
        rows = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    real = Path(os.path.realpath(folder))
    points = [(Path(_plain(row[1])), row[2]) for row in rows if len(row) > 2]
    # Of two mounts on one point the later hides the earlier.
    above = [
        (len(point.parts), index, kind)
        for index, (point, kind) in enumerate(points)
        if real.is_relative_to(point)
    ]
    return max(above)[2] if above else None


def _plain(name: str) -> str:
    """The kernel writes blanks in names as octal numbers."""
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, sign)
    return name
