"""Whether a run is going on, as far as the files of its directory tell.

The owner of a run signs ``owner.lock`` with its host and process, and wipes that when it leaves in order.
A signature whose process is gone belongs to a run that was killed.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tunesmith import numbers
from tunesmith.checkpoint.lock import LOCK_FILE, owner_of
from tunesmith.checkpoint.plain_file import is_there, read_plain

Phase = Literal["waiting", "running", "silent", "lost", "ended"]
FINAL = ("completed", "stopped")
MOST_SIGNATURE = 65536
QUIET = 90.0
"""Seconds without a sign after which a run elsewhere is called silent; an evaluation may take as long."""
SKEW = 5.0
"""Seconds by which another machine's clock may be ahead; times beyond that tell nothing."""
NO_TIME = 1e9
"""Stands for an age that nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """What is known of a run's life.

    Attributes:
        phase: ``waiting`` (nothing there yet), ``running``, ``silent`` (it should be running and gives no
            sign), ``lost`` (its process is gone), or ``ended``.
        told: the same in one sentence.
        quiet: seconds since its files last changed; ``NO_TIME`` if they say that it will be in the future.
    """

    phase: Phase
    told: str
    quiet: float


def liveness_of(run_dir: Path, result: Mapping[str, Any] | None, *, now: float | None = None) -> Liveness:
    """Look at a run's signature and at the age of its files.

    Args:
        run_dir: the directory, which need not be there.
        result: its ``result.json``, if there is one.
        now: seconds since the epoch; default: the clock.
    """
    now = time.time() if now is None else now
    quiet = _quiet(run_dir, now)
    status = str((result or {}).get("status") or "")
    if status in FINAL:
        return Liveness(phase="ended", told="ended", quiet=quiet)
    owner = _signature(run_dir)
    if owner:
        return _owned(run_dir, owner, status, quiet, now)
    if status:
        return Liveness(phase="ended", told=ENDINGS.get(status, "ended"), quiet=quiet)
    if not is_there(run_dir / "metrics.jsonl"):
        return Liveness(phase="waiting", told="has not begun to train yet", quiet=quiet)
    if quiet < QUIET:
        return Liveness(phase="running", told="running", quiet=quiet)
    return Liveness(phase="silent", told=f"no owner and {_no_sign(quiet)}", quiet=quiet)


ENDINGS = {"preempted": "interrupted; the same command goes on with it", "failed": "failed"}


def _owned(run_dir: Path, owner: Mapping[str, Any], status: str, quiet: float, now: float) -> Liveness:
    host, pid = str(owner.get("host")), owner.get("pid")
    here = host == socket.gethostname()
    signed_ahead = (_seconds(str(owner.get("start"))) or 0.0) > now + SKEW
    if here and isinstance(pid, int) and not signed_ahead and _is_alive(pid, str(owner.get("start"))):
        return Liveness(phase="running", told="running", quiet=quiet)
    if not here and quiet < QUIET:
        return Liveness(phase="running", told=f"running on {host}", quiet=quiet)
    if _is_held(run_dir):  # asked last and seldom: asking takes the lock for an instant
        return Liveness(phase="running", told=f"running on {host}", quiet=quiet)
    if status:
        return Liveness(phase="ended", told=ENDINGS.get(status, "ended"), quiet=quiet)
    if here:
        told = f"its process {pid} is gone: it was killed, or the machine restarted; the same command goes on"
        return Liveness(phase="lost", told=told, quiet=quiet)
    told = f"{_no_sign(quiet)} from process {pid} on {host}, which cannot be seen here"
    return Liveness(phase="silent", told=told, quiet=quiet)


def _no_sign(quiet: float) -> str:
    if quiet == NO_TIME:
        return "no sign of life that can be trusted, since its files lie in the future,"
    return f"no sign of life for {_roughly(quiet)}"


def _roughly(seconds: float) -> str:
    """Whole minutes, and from an hour on whole hours: a text that does not change with every look."""
    return numbers.duration(seconds - seconds % (3600 if seconds >= 3600 else 60))


def _signature(run_dir: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(read_plain(run_dir / LOCK_FILE, MOST_SIGNATURE).decode("utf-8", "replace") or "{}")
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_held(run_dir: Path) -> bool:
    try:
        return owner_of(run_dir) is not None
    except OSError:
        return False


def _is_alive(pid: int, start: str) -> bool:
    """Whether the process is there and was there when the lock was signed: numbers are used again."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    began, signed = _start_of(pid), _seconds(start)
    return began is None or signed is None or began <= signed + 2.0


def _start_of(pid: int) -> float | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        if after_name[0] == "Z":
            return float("inf")  # ended, and only not yet collected by its parent
        boot = next(
            line
            for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines()
            if line.startswith("btime")
        )
        return int(boot.split()[1]) + int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _seconds(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def _quiet(run_dir: Path, now: float) -> float:
    changed = [0.0]
    for name in ("metrics.jsonl", LOCK_FILE, "result.json", "checkpoints"):
        try:
            changed.append((run_dir / name).lstat().st_mtime)
        except OSError:
            continue
    if max(changed) > now + SKEW:
        return NO_TIME
    return max(0.0, now - max(changed))
