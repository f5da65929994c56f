"""Whether other machines are likely to see a folder, told from the kind of its file system."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.launch.doctor_disk import nearest_folder
from tunesmith.launch.doctor_finding import Finding

LOCAL = frozenset(
    ("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
)
"""File systems of one machine; whatever else there is (nfs, lustre, gpfs, beegfs, fuse) may be shared."""


def check_shared(run_dir: Path, *, mounts: Path = Path("/proc/self/mounts")) -> list[Finding]:
    """What the kind of file system says about a folder that machines must share.

    Only a hint: several "nodes" may be one machine, and a shared disk may be mounted as ext4. Inside an
    allocation each node is asked.
    """
    folder = nearest_folder(run_dir.absolute())
    kind = file_system_of(folder, mounts)
    if kind is None:
        return [Finding("shared folder", "unknown", f"the kind of file system of {folder} is not known")]
    if kind in LOCAL:
        what = f"{folder} is on a file system of this machine alone ({kind}); other machines may not see it"
        remedy = (
            "put `run.dir` on the cluster's shared file system; ignore this if the nodes are this machine"
        )
        return [Finding("shared folder", "warning", what, remedy)]
    return [Finding("shared folder", "ok", f"{folder} is on {kind}")]


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
