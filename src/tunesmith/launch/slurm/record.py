"""What is remembered of a run's jobs, in ``slurm/`` of its run directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import write_json
from tunesmith.checkpoint.journal import read_journal
from tunesmith.checkpoint.manifest import checkpoint_step, checkpoints
from tunesmith.checkpoint.plain_file import read_plain
from tunesmith.errors import UserError

FOLDER = "slurm"
MOST_RESTARTS = 3
"""Restarts in a row without a new checkpoint; there is not a fourth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job as it was handed to SLURM.

    Attributes:
        mark: also in the job's comment, by which it is found if its number was never learnt.
        job: its number; None until SLURM has told it.
        runs: run directories of an array's tasks, in order; empty if it is no array.
        follower: number of the job that scores beside it; None if there is none.
    """

    mark: str
    job: str | None = None
    runs: tuple[str, ...] = ()
    follower: str | None = None

    @property
    def comment(self) -> str:
        """What the job bears in SLURM."""
        return f"tunesmith:{self.mark}"


def folder_of(run_dir: Path) -> Path:
    """Where the script, the log and what is remembered lie."""
    return run_dir / FOLDER


def read_submission(run_dir: Path) -> Submission | None:
    """The newest submission of a run; None if there was none.

    Raises:
        UserError: its file is damaged.
    """
    path = folder_of(run_dir) / "job.json"
    try:
        found = json.loads(read_plain(path))
        return Submission(
            mark=str(found["mark"]),
            job=None if found["job"] is None else str(found["job"]),
            runs=tuple(str(one) for one in found["runs"]),
            follower=None if found.get("follower") is None else str(found["follower"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError("what is remembered of the job cannot be read", str(path), "remove it") from None


def write_submission(run_dir: Path, submission: Submission) -> None:
    """Remember a submission."""
    write_json(folder_of(run_dir) / "job.json", asdict(submission))


def read_starts(run_dir: Path) -> list[dict[str, Any]]:
    """Every start of a job of this run: ``job``, ``mark``, ``restart``, ``checkpoint``, ``log``."""
    return read_journal(folder_of(run_dir) / "starts.jsonl")


def progress_of(run_dirs: Sequence[Path]) -> int | None:
    """The step of the newest checkpoint, summed over the run directories; None if none has any."""
    steps = [
        checkpoint_step(newest[0]) for folder in run_dirs if (newest := checkpoints(folder / "checkpoints"))
    ]
    return sum(step or 0 for step in steps) if steps else None


def vain_restarts(starts: Sequence[Mapping[str, Any]], mark: str, checkpoint: int | None) -> int:
    """How many restarts, up to now and in a row, have brought no new checkpoint (pure).

    Args:
        starts: oldest first; those of other submissions are left out.
        mark: of the submission.
        checkpoint: the newest one now.
    """
    same = 0
    for start in reversed([start for start in starts if start.get("mark") == mark]):
        if start.get("checkpoint") != checkpoint:
            break
        same += 1
    return max(0, same - 1)
