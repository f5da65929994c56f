"""The runs below a folder and their jobs, as one table, and what they have printed."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.lock import owner_of
from tunesmith.checkpoint.plain_file import MIB, is_there, open_plain, read_plain
from tunesmith.errors import UserError
from tunesmith.launch.slurm.cluster import JobState, my_jobs
from tunesmith.launch.slurm.record import FOLDER, Submission, folder_of, read_starts, read_submission
from tunesmith.live.tail import FilePosition, read_new
from tunesmith.report.summary import metrics_of
from tunesmith.terminal import one_line

_MARKS = ("metrics.jsonl", "environment.json", "result.json", FOLDER)
_FOLLOW_SECONDS = 0.5
_DEPTH = 3
_END = 8 * MIB
"""Bytes of a journal's end in which the newest step and evaluation are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One run.

    Attributes:
        run_dir: where it lives.
        state: ``submitted``, ``queued``, ``running``, ``interrupted``, ``array``, ``unreadable`` and why, or
            as ``result.json`` says.
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

    Links to folders below them are not followed. A folder that may not be looked into counts as one, so that
    it is not left out in silence.

    Raises:
        UserError: a folder is not there.
    """
    found: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"there is no folder `{folder}`", hint="name a run directory, or a folder of them"
            )
        found |= set(_runs_below(folder, depth=_DEPTH))
    return sorted(found)


def states_of(run_dirs: Sequence[Path]) -> tuple[list[RunState], str]:
    """What is known of each run, and why SLURM could not be asked, empty if it was; once for all jobs."""
    jobs = {run_dir: job for run_dir in run_dirs if (job := _job_if_known(run_dir)) is not None}
    known: dict[str, JobState] = {}
    problem = ""
    try:
        known = {job.job: job for job in my_jobs(jobs.values())}
    except UserError as error:
        problem = error.what
    return [_state_of(run_dir, jobs.get(run_dir), known) for run_dir in run_dirs], problem


def batch_job_of(run_dir: Path) -> str | None:
    """The number of a run's newest job, ``17_3`` if it is of an array; None if there is none."""
    submitted = _own_submission(run_dir)
    if submitted is not None:
        return submitted
    starts = read_starts(run_dir)
    return str(starts[-1]["job"]) if starts and "job" in starts[-1] else None


def log_of(run_dir: Path) -> Path:
    """The newest log of a run's jobs.

    Raises:
        UserError: there is none.
    """
    logs = [Path(str(start["log"])) for start in read_starts(run_dir) if start.get("log")]
    logs += sorted(folder_of(run_dir).glob("*.out"))
    written = {log: at for log in logs if (at := _changed(log)) is not None}
    if written:
        return max(written, key=written.__getitem__)
    job = batch_job_of(run_dir)
    if job is not None:
        raise UserError(
            f"job {job} has printed nothing yet", str(run_dir), "`tunesmith status` says why it waits"
        )
    raise UserError("no job is known of this run", str(run_dir), "name a run that was submitted")


def _changed(log: Path) -> float | None:
    """When a log was last written to; None if it is no plain file, or not there."""
    try:
        status = log.lstat()
    except (OSError, ValueError):
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


def finished_status(run_dir: Path) -> str | None:
    """``stopped`` or ``completed`` if a run has come to its end, else None."""
    status = _status(run_dir)
    return status if status in ("stopped", "completed") else None


def follow_logs(log: Path, is_over: Callable[[], bool]) -> Iterator[str]:
    """What is in a log, and what comes to it until the job is over.

    Args:
        log: a file that grows.
        is_over: asked now and then.
    """
    asked = time.monotonic()
    with open(open_plain(log), encoding="utf-8", errors="replace") as file:
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


def runs_table(states: Sequence[RunState]) -> str:
    """The runs as aligned lines, a header first."""
    rows = [("RUN", "STATE", "STEP", "NEWEST", "JOB")]
    rows += [
        (
            one_line(str(one.run_dir)),
            one_line(one.state),
            "-" if one.step is None else str(one.step),
            one_line(one.metric) or "-",
            one_line(one.job) or "-",
        )
        for one in states
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _runs_below(folder: Path, depth: int) -> Iterator[Path]:
    is_run = any(is_there(folder / mark) for mark in _MARKS)
    try:
        with os.scandir(folder) as entries:
            below = [Path(one.path) for one in entries if one.is_dir(follow_symlinks=False)]
    except OSError:
        yield folder
        return
    if is_run:
        yield folder
    if depth:
        for path in below:
            if path.name not in (FOLDER, "checkpoints"):
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


def _job_if_known(run_dir: Path) -> str | None:
    try:
        return batch_job_of(run_dir)
    except (OSError, UserError, KeyError):
        return None  # what is damaged there is said where the job itself is asked for


def _state_of(run_dir: Path, job: str | None, known: Mapping[str, JobState]) -> RunState:
    """The state of one run, whatever lies in its folder: one that is odd must not end the list."""
    try:
        os.listdir(run_dir)
        return _state_read(run_dir, job, known)
    except OSError as problem:
        state = f"unreadable ({problem.strerror})"
    except Exception as problem:
        state = f"unreadable ({type(problem).__name__})"
    return RunState(run_dir=run_dir, state=state, step=None, metric="", job=job or "")


def _state_read(run_dir: Path, job: str | None, known: Mapping[str, JobState]) -> RunState:
    records = _end_of_journal(run_dir / "metrics.jsonl")
    steps = [int(record["step"]) for record in records]
    told = known.get(job) if job is not None else None
    return RunState(
        run_dir=run_dir,
        state=_word(run_dir, job, told, known),
        step=steps[-1] if steps else None,
        metric=_newest_metric(records),
        job=_job_text(job, told, known),
    )


def _end_of_journal(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        size = os.lstat(path).st_size
    except OSError:
        return ()
    start = max(0, size - _END)
    return read_new(path, FilePosition(os.lstat(path).st_ino, start), most=_END).records


def _status(run_dir: Path) -> str | None:
    """What ``result.json`` says; None if there is none, or it is of another program."""
    try:
        found = json.loads(read_plain(run_dir / "result.json"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return None
    return str(found["status"])[:40] if isinstance(found, dict) and "status" in found else None


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
    if is_there(run_dir / "metrics.jsonl"):
        return "interrupted"
    begun = job is not None or any(is_there(run_dir / mark) for mark in (FOLDER, "environment.json"))
    return "submitted" if begun else "no run"


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
        if record.get("kind") == "eval" and (metrics := metrics_of(record)):
            return "  ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:2])
    losses = (record.get("loss") for record in reversed(records))
    return next((f"loss {loss:.4g}" for loss in losses if isinstance(loss, int | float)), "")
