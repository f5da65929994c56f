"""How a process ended, told to whoever launched it by a file.

The launchers of Accelerate, torch and DeepSpeed end with 1 whatever status a process ended with, and add
their own tracebacks. ``tunesmith run --on`` therefore names a fresh folder in ``TUNESMITH_OUTCOME``, in
which every process leaves its status before it ends; an orderly end is then no error for the launcher.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import Exit

VARIABLE = "TUNESMITH_OUTCOME"
_ORDERLY = (Exit.USER, Exit.PREEMPTED)


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How one process ended.

    Attributes:
        rank: of the process.
        status: its exit status, as it would be without a launcher.
        message: what it had to say to the user, empty if nothing.
    """

    rank: int
    status: int
    message: str = ""


def leave_outcome(environ: Mapping[str, str], status: int, message: str = "") -> int:
    """Leave this process's outcome, if a launcher wants it; the first one counts.

    Args:
        environ: the environment, usually ``os.environ``.
        status: the exit status of the contract.
        message: what the user must know.

    Returns:
        The status to exit with: 0 for an orderly end that the launcher has been told of.
    """
    folder = environ.get(VARIABLE)
    if not folder:
        return status
    rank = environ.get("RANK", "").strip() or "0"
    path = Path(folder) / f"rank-{rank}.json"
    try:
        if not path.exists():
            # Moved into place whole, since the launcher may look at any moment.
            unfinished = path.with_suffix(".tmp")
            unfinished.write_text(json.dumps({"status": int(status), "message": message}), encoding="utf-8")
            os.replace(unfinished, path)
    except OSError:
        return status  # The folder is gone, and the launcher with it.
    return 0 if status in _ORDERLY else status


def read_outcomes(folder: Path) -> list[ExitRecord]:
    """The outcomes left so far, by rank."""
    found = []
    for path in folder.glob("rank-*.json"):
        left = json.loads(path.read_text(encoding="utf-8"))
        rank = path.stem.removeprefix("rank-")
        found.append(
            ExitRecord(int(rank) if rank.isdigit() else 0, int(left["status"]), str(left["message"]))
        )
    return sorted(found, key=lambda outcome: outcome.rank)
