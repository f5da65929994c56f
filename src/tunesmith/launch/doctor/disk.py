"""The disk of the run directory: whether it can be written, how fast, how much is free, and its clock."""

from __future__ import annotations

import errno
import os
import secrets
import time
from pathlib import Path

from tunesmith.checkpoint.atomic import sync_folder
from tunesmith.launch.doctor.finding import DoctorFinding, State
from tunesmith.launch.doctor.probe import run_probe

_PIECE = 4 * 1024**2
_MOST = 64 * 1024**2
_MOST_SECONDS = 2.0
_SLOW = 20e6  # bytes a second
_LITTLE = 1e9  # bytes free: below, hardly a checkpoint fits
_LOW = 10e9
_FEW_FILES = 1000
_SKEW = 2.0  # seconds

_MOVE = "choose another `run.dir`"
_REASONS = {
    errno.ENOSPC: ("no space is left", "make room there, or " + _MOVE),
    errno.EDQUOT: ("the quota is used up", "make room within the quota, or " + _MOVE),
    errno.EROFS: ("the file system is read-only", _MOVE),
    errno.EACCES: ("permission is denied", "change the folder's permissions, or " + _MOVE),
    errno.EPERM: ("permission is denied", "change the folder's permissions, or " + _MOVE),
    errno.EIO: ("the disk answers with an error", "have the disk looked at, and " + _MOVE),
    errno.ESTALE: ("the file server has forgotten this folder", "mount it again, or " + _MOVE),
}


def check_disk(
    run_dir: Path, *, needed_bytes: int | None = None, seconds: float = 10.0
) -> list[DoctorFinding]:
    """Write, flush and read the time of a file where the run would write; everything is removed again.

    Args:
        run_dir: need not exist; then its nearest parent is looked at.
        needed_bytes: what a run writes at most, if that is known.
        seconds: after which the disk is taken not to answer.
    """
    order = {"folder": str(run_dir.absolute()), "needed_bytes": needed_bytes}
    remedy = f"`ls {run_dir}` and see whether it hangs: then the file server does not answer; else {_MOVE}"
    return run_probe("disk", order, seconds=seconds, remedy=remedy)


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the first of its parents that exists."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def look_at_disk(run_dir: Path, *, needed_bytes: int | None) -> list[DoctorFinding]:
    """The findings themselves; may take as long as the disk does."""
    folder = nearest_folder(run_dir)
    name = folder / f".tunesmith-doctor-{secrets.token_hex(6)}"
    findings = [_space(folder, needed_bytes)]
    try:
        try:
            written = _write(name, min(_MOST, _free(folder) // 2))
        finally:
            name.unlink(missing_ok=True)
    except OSError as error:
        what, remedy = _REASONS.get(error.errno or 0, (f"{error.strerror}", _MOVE))
        return [*findings, DoctorFinding("disk", "problem", f"{folder} cannot be written: {what}", remedy)]
    size, elapsed, flush, skew = written
    return [*findings, _speed(folder, size, elapsed, flush), _clock(folder, skew)]


def _free(folder: Path) -> int:
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize


def _write(path: Path, most: int) -> tuple[int, float, float, float]:
    """Write up to ``most`` bytes; gives bytes, seconds, those of the last flush, and the clock's lead."""
    piece, size = os.urandom(_PIECE), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        before = time.time()
        os.write(descriptor, b"x")
        os.fsync(descriptor)
        stamp, after = os.fstat(descriptor).st_mtime, time.time()
        # A clock that is ahead stamps later than the answer came, one that is behind earlier than the call.
        skew = stamp - after if stamp > after else min(0.0, stamp - before)
        start = time.perf_counter()
        while size < most and time.perf_counter() - start < _MOST_SECONDS:
            size += os.write(descriptor, piece[: most - size])
            os.fsync(descriptor)
        elapsed = time.perf_counter() - start
        start = time.perf_counter()
        os.write(descriptor, b"x")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
    return size, elapsed, time.perf_counter() - start, skew


def _space(folder: Path, needed: int | None) -> DoctorFinding:
    system, free = os.statvfs(folder), _free(folder)
    what = f"{_bytes(free)} free in {folder}"
    room = f"make room there, or {_MOVE}"
    if needed is not None and free < needed:
        return DoctorFinding("space", "problem", f"{what}, and the run may write {_bytes(needed)}", room)
    if system.f_files > 0 and system.f_favail < _FEW_FILES:
        return DoctorFinding(
            "space", "problem", f"{what}, but only {system.f_favail} files more can be made", room
        )
    if free < _LITTLE:
        return DoctorFinding("space", "problem", f"only {what}", room)
    if free < _LOW and needed is None:
        keep = f"{room}; `run.keep: 1` keeps fewer checkpoints"
        return DoctorFinding(
            "space", "warning", f"{what}; a checkpoint holds weights and twice that of state", keep
        )
    return DoctorFinding("space", "ok", what)


def _speed(folder: Path, size: int, elapsed: float, flush: float) -> DoctorFinding:
    rate = size / max(elapsed, 1e-9)
    what = f"{folder} takes {_bytes(int(rate))}/s, flushed; one flush takes {flush * 1000:.0f} ms"
    state: State = "warning" if rate < _SLOW else "ok"
    slow = f"checkpoints will take long: {_MOVE} on a faster disk, or save more seldom (`run.save_every`)"
    return DoctorFinding("disk", state, what, slow if state == "warning" else "")


def _clock(folder: Path, skew: float) -> DoctorFinding:
    if abs(skew) <= _SKEW:
        return DoctorFinding("file clock", "ok", f"files in {folder} bear this machine's time")
    direction = "ahead of" if skew > 0 else "behind"
    what = f"files in {folder} are stamped {abs(skew):.1f} s {direction} this machine's clock"
    return DoctorFinding("file clock", "warning", what, "set both clocks by NTP: `timedatectl set-ntp true`")


def _bytes(number: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
