"""Inside a job: start the run on every node, hear of the end in time, requeue until the recipe stops."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from tunesmith.checkpoint.atomic import make_folder
from tunesmith.checkpoint.journal import append_record
from tunesmith.errors import Exit, UserError
from tunesmith.launch.slurm.allocation import (
    Allocation,
    launch_words,
    picked,
    profile_for,
    read_allocation,
    run_directories,
)
from tunesmith.launch.slurm.cluster import ASK_AGAIN, JobState, my_jobs, requeue_job
from tunesmith.launch.slurm.record import MOST_RESTARTS, folder_of, progress_of, read_starts, vain_restarts
from tunesmith.recipe.load import load_recipe

T = TypeVar("T")

_REMIND_SECONDS = 5.0
_CONTROLLER_SECONDS = 600.0
_POLL_SECONDS = 0.2


def run_job(recipe: Path, overrides: Sequence[str], axes: Sequence[str], environ: Mapping[str, str]) -> int:
    """Carry out one job, or one task of an array.

    Args:
        recipe: the file.
        overrides: ``key.path=value``.
        axes: of a sweep, of which the array's task number picks one combination.
        environ: of the batch script.

    Returns:
        The exit status of the contract: 0 when the recipe has stopped, 75 when the job is requeued.

    Raises:
        UserError: for what the user must change; such a job is not requeued.
    """
    listener = _Listener()
    allocation = read_allocation(environ)
    overrides = picked(load_recipe(recipe, overrides).run.dir or "", overrides, axes, allocation.task)
    run_dirs = run_directories(recipe, overrides)
    words = launch_words(recipe, overrides, profile_for(allocation, environ.get("PROFILE")), allocation)
    _note_start(run_dirs, allocation)
    _refuse_vain_restart(run_dirs, allocation)
    _refuse_hidden_folder(run_dirs[0], allocation)
    print(f"job {allocation.job}, start {allocation.restarts + 1}: {shlex.join(words)}", flush=True)
    status = listener.wait(subprocess.Popen(words, env=_environment(environ)), allocation)
    return conclude(status, run_dirs, allocation)


def conclude(status: int, run_dirs: Sequence[Path], allocation: Allocation) -> int:
    """Requeue the job if there is something left to do; gives its exit status."""
    if status in (Exit.FINISHED, Exit.USER):
        return status
    run_dir, starts = run_dirs[0], read_starts(run_dirs[0])
    what = "preempted" if status == Exit.PREEMPTED else f"a fault (status {status})"
    vain = vain_restarts(starts, allocation.mark, progress_of(run_dirs))
    if vain >= MOST_RESTARTS:
        print(f"{what}; {_VAIN}", file=sys.stderr, flush=True)
        return Exit.FAULT
    state = _patiently(lambda: _state_of(allocation))
    # Ended from outside: SLURM requeues it by itself, or somebody has cancelled it.
    if state is not None and state.state not in ("RUNNING", "SIGNALING") and state.reason != "TimeLimit":
        print(f"{what}; not requeued here: the job is {state.state.lower()}", flush=True)
        return status
    print(f"{what}; requeued: it goes on from the newest checkpoint in {run_dir}", flush=True)
    try:
        _patiently(lambda: requeue_job(allocation.job))
    except UserError as refused:
        print(f"{refused.what}; submit it again to go on", file=sys.stderr, flush=True)
    return status


def _state_of(allocation: Allocation) -> JobState | None:
    return next((job for job in my_jobs([allocation.job]) if job.job == allocation.job), None)


def _patiently(act: Callable[[], T]) -> T:
    """Ask the controller again and again: it may be restarting just when the run ends."""
    deadline = time.monotonic() + _CONTROLLER_SECONDS
    while True:
        try:
            return act()
        except UserError as problem:
            if problem.hint != ASK_AGAIN or time.monotonic() > deadline:
                raise
            print(f"{problem.what}; asking again", file=sys.stderr, flush=True)
            time.sleep(_REMIND_SECONDS)


_VAIN = (
    f"{MOST_RESTARTS} restarts have brought no new checkpoint, so the job is not requeued. Look above for "
    "why; if the time limit is too short for one evaluation, give more `--time`; then submit it again"
)


def _note_start(run_dirs: Sequence[Path], allocation: Allocation) -> None:
    folder = folder_of(run_dirs[0])
    make_folder(folder)
    record = {
        "job": allocation.job,
        "mark": allocation.mark,
        "restart": allocation.restarts,
        "checkpoint": progress_of(run_dirs),
        "log": _own_output(),
    }
    append_record(folder / "starts.jsonl", record, durable=True)


def _own_output() -> str | None:
    path = Path("/proc/self/fd/1")
    return os.readlink(path) if path.exists() and Path(os.readlink(path)).is_file() else None


def _refuse_vain_restart(run_dirs: Sequence[Path], allocation: Allocation) -> None:
    """A job that SLURM itself requeues (a lost node) has not asked ``conclude``."""
    vain = vain_restarts(read_starts(run_dirs[0]), allocation.mark, progress_of(run_dirs))
    if vain > MOST_RESTARTS:
        raise UserError(_VAIN, str(run_dirs[0]))


def _refuse_hidden_folder(run_dir: Path, allocation: Allocation) -> None:
    """Make sure in seconds that every node sees the run directory, instead of waiting for one that cannot."""
    if allocation.nodes == 1:
        return
    seen = folder_of(run_dir.absolute()) / "starts.jsonl"
    nodes = str(allocation.nodes)
    # A network file system may need a moment until a new file is seen.
    look = 'for i in 1 2 3 4 5; do [ -r "$0" ] && exit; sleep 1; done; echo "$SLURMD_NODENAME"'
    command = [
        "srun",
        "--nodes",
        nodes,
        "--ntasks",
        nodes,
        "--ntasks-per-node=1",
        "bash",
        "-c",
        look,
        str(seen),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    blind = ", ".join(f"`{name}`" for name in sorted(done.stdout.split()))
    if blind:
        raise UserError(
            f"the run directory is not seen by {blind}",
            str(run_dir.absolute()),
            "choose a `run.dir` on a file system that all nodes share",
        )


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    # srun no longer hands the allocation's cores to its step by itself.
    cpus = environ.get("SLURM_CPUS_PER_TASK")
    return {**environ, **({"SRUN_CPUS_PER_TASK": cpus} if cpus else {})}


class _Listener:
    """Hears the notice of the time limit (SIGUSR2) and of the end (SIGTERM), and passes them on."""

    def __init__(self) -> None:
        self._heard: list[int] = []

        def note(number: int, frame: FrameType | None) -> None:
            self._heard.append(number)

        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, note)

    def wait(self, srun: subprocess.Popen[bytes], allocation: Allocation) -> int:
        """Wait for the run's end on all nodes; gives its exit status."""
        reminded, ending = 0.0, False
        while srun.poll() is None:
            if self._heard and time.monotonic() - reminded > _REMIND_SECONDS:
                if not reminded:
                    print("told to leave: saving at the next step", flush=True)
                reminded = time.monotonic()
                srun.send_signal(signal.SIGUSR2)  # srun passes it on to every process
            if signal.SIGTERM in self._heard and not ending:
                ending = True
                _requeue_after_time_limit(allocation)
            time.sleep(_POLL_SECONDS)
        status = srun.wait()
        killed_while_saving = self._heard and (status < 0 or status > 128)
        if status in (Exit.FINISHED, Exit.USER):
            return status
        return Exit.PREEMPTED if status == Exit.PREEMPTED or killed_while_saving else Exit.FAULT


def _requeue_after_time_limit(allocation: Allocation) -> None:
    """The limit has come before the run could save; there is no time left but for this."""
    try:
        state = _state_of(allocation)
        if state is not None and state.reason == "TimeLimit":
            requeue_job(allocation.job)
            print("the time limit has come before the run could save; requeued", flush=True)
    except UserError as problem:
        print(problem, file=sys.stderr, flush=True)


def main(recipe: Path, overrides: Sequence[str], axes: Sequence[str]) -> int:
    """What the batch script calls."""
    return run_job(recipe, overrides, axes, os.environ)
