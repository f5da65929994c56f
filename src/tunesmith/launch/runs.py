"""The runs below a folder and their jobs, as one table, and what they have printed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.journal import read_journal
from tunesmith.checkpoint.lock import owner_of
from tunesmith.errors import UserError
from tunesmith.launch.slurm_cluster import JobState, my_jobs
from tunesmith.launch.slurm_record import FOLDER, Submission, folder_of, read_starts, read_submission

_MARKS = ("metrics.jsonl", "environment.json", "result.json", FOLDER)
_FOLLOW_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One run.

    Attributes:
        run_dir: where it lives.
        state: ``submitted``, ``queued``, ``running``, ``interrupted``, ``array``, or as ``result.json`` says.
        step: the newest one; None before the first.
        metric: the newest measurement, e.g. ``loss 0.31``; empty before the first.
        job: number, and SLURM's word on it; empty if there is none.
    """

    run_dir: Path
    state: str
    step: int | None
    metric: str
    job: str


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """The run directories among some folders and below them, sorted.

    Raises:
        UserError: a folder is not there.
    """
    found: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"there is no folder `{folder}`", hint="name a run directory, or a folder of them"
            )
        found |= set(_runs_below(folder, depth=3))
    return sorted(found)


def states_of(run_dirs: Sequence[Path]) -> tuple[list[RunState], str]:
    """What is known of each run, and why SLURM could not be asked, empty if it was; once for all jobs."""
    jobs = {run_dir: job for run_dir in run_dirs if (job := job_of(run_dir)) is not None}
    known: dict[str, JobState] = {}
    problem = ""
    try:
        known = {job.job: job for job in my_jobs(jobs.values())}
    except UserError as error:
        problem = error.what
    return [_state_of(run_dir, jobs.get(run_dir), known) for run_dir in run_dirs], problem


def job_of(run_dir: Path) -> str | None:
    """The number of a run's newest job, ``17_3`` if it is of an array; None if there is none."""
    submitted = _own_submission(run_dir)
    if submitted is not None:
        return submitted
    starts = read_starts(run_dir)
    return str(starts[-1]["job"]) if starts else None


def log_of(run_dir: Path) -> Path:
    """The newest log of a run's jobs.

    Raises:
        UserError: there is none.
    """
    logs = [Path(str(start["log"])) for start in read_starts(run_dir) if start.get("log")]
    logs += sorted(folder_of(run_dir).glob("*.out"))
    logs = [log for log in logs if log.is_file()]
    if logs:
        return max(logs, key=lambda log: log.stat().st_mtime)
    job = job_of(run_dir)
    if job is not None:
        raise UserError(
            f"job {job} has printed nothing yet", str(run_dir), "`tunesmith status` says why it waits"
        )
    raise UserError("no job is known of this run", str(run_dir), "name a run that was submitted")


def finished_status(run_dir: Path) -> str | None:
    """``stopped`` or ``completed`` if a run has come to its end, else None."""
    status = _status(run_dir)
    return status if status in ("stopped", "completed") else None


def follow(log: Path, is_over: Callable[[], bool]) -> Iterator[str]:
    """What is in a log, and what comes to it until the job is over.

    Args:
        log: a file that grows.
        is_over: asked now and then.
    """
    asked = time.monotonic()
    with log.open(encoding="utf-8", errors="replace") as file:
        over = is_over()
        while True:
            if text := file.read(65536):
                yield text
            elif over:
                return
            else:
                time.sleep(_FOLLOW_SECONDS)
                if time.monotonic() - asked > 5:
                    asked, over = time.monotonic(), is_over()


def table(states: Sequence[RunState]) -> str:
    """The runs as aligned lines, a header first."""
    rows = [("RUN", "STATE", "STEP", "NEWEST", "JOB")]
    rows += [
        (
            str(one.run_dir),
            one.state,
            "-" if one.step is None else str(one.step),
            one.metric or "-",
            one.job or "-",
        )
        for one in states
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _runs_below(folder: Path, depth: int) -> Iterator[Path]:
    if any((folder / mark).exists() for mark in _MARKS):
        yield folder
    if depth:
        below = [
            path for path in folder.iterdir() if path.is_dir() and path.name not in (FOLDER, "checkpoints")
        ]
        for path in below:
            yield from _runs_below(path, depth - 1)


def _own_submission(run_dir: Path) -> str | None:
    """The job by which a run was submitted: its own, or its task of the array above it."""
    for folder in (run_dir, run_dir.parent):
        submitted = read_submission(folder)
        if submitted is None or submitted.job is None:
            continue
        if folder == run_dir:
            return submitted.job
        return _task_of(submitted, run_dir)
    return None


def _task_of(submitted: Submission, run_dir: Path) -> str | None:
    wanted = run_dir.absolute()
    tasks = [number for number, one in enumerate(submitted.runs) if Path(one).absolute() == wanted]
    return f"{submitted.job}_{tasks[0]}" if tasks else None


def _state_of(run_dir: Path, job: str | None, known: Mapping[str, JobState]) -> RunState:
    records = read_journal(run_dir / "metrics.jsonl")
    steps = [int(record["step"]) for record in records if "step" in record]
    told = known.get(job) if job is not None else None
    return RunState(
        run_dir=run_dir,
        state=_word(run_dir, job, told, known),
        step=steps[-1] if steps else None,
        metric=_newest_metric(records),
        job=_job_text(job, told, known),
    )


def _status(run_dir: Path) -> str | None:
    path = run_dir / "result.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("status")) if path.exists() else None


def _word(run_dir: Path, job: str | None, told: JobState | None, known: Mapping[str, JobState]) -> str:
    if (finished := finished_status(run_dir)) is not None:
        return finished
    status = _status(run_dir)
    if owner_of(run_dir) is not None:
        return "running"
    if told is not None and not told.is_over:
        return "queued" if told.state == "PENDING" else "running"
    tasks = [one for name, one in known.items() if name.partition("_")[0] == job]
    if tasks:
        return "array"
    if status is not None:
        return status
    return "interrupted" if (run_dir / "metrics.jsonl").exists() else "submitted"


def _job_text(job: str | None, told: JobState | None, known: Mapping[str, JobState]) -> str:
    if job is None:
        return ""
    if told is not None:
        return f"{job} {told.state.lower()}" + (f" ({told.reason})" if told.reason else "")
    states = [one.state.lower() for name, one in known.items() if name.partition("_")[0] == job]
    counts = [f"{states.count(state)} {state}" for state in sorted(set(states))]
    return f"{job} {', '.join(counts)}".rstrip() if counts else f"{job} (not known any more)"


def _newest_metric(records: Sequence[Mapping[str, Any]]) -> str:
    for record in reversed(records):
        if record.get("kind") == "eval" and record.get("metrics"):
            shown = [f"{name} {value:.4g}" for name, value in record["metrics"].items() if value is not None]
            return "  ".join(shown[:2])
    return next((f"loss {r['loss']:.4g}" for r in reversed(records) if r.get("loss") is not None), "")
