"""``tunesmith submit``: check, write the script, hand it to SLURM once, and remember it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.checkpoint.atomic import make_folder, write_text
from tunesmith.checkpoint.journal import read_journal
from tunesmith.checkpoint.lock import own
from tunesmith.errors import UserError
from tunesmith.launch.command import resized
from tunesmith.launch.profiles.profile import Profile, read_profile
from tunesmith.launch.slurm.allocation import MARK, picked
from tunesmith.launch.slurm.cluster import cancel_job, my_jobs, submit_script
from tunesmith.launch.slurm.record import (
    Submission,
    folder_of,
    read_starts,
    read_submission,
    write_submission,
)
from tunesmith.launch.slurm.script import (
    JobOptions,
    job_name,
    log_path,
    read_time,
    script_text,
    shipped_script,
)
from tunesmith.launch.sweep import combinations
from tunesmith.plan.batch import divide
from tunesmith.recipe.load import load_recipe, load_with_variants
from tunesmith.redact import redact

_SCHEDULER_SECONDS = 3.0
"""How long the scheduler has to say why a job waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmRequest:
    """What the user asked for.

    Attributes:
        recipe: the file.
        overrides: ``key.path=value``.
        axes: of a sweep, see ``combinations``.
        profile: name or path.
        options: what to ask SLURM for; its name, output and comment are filled in here.
        nodes: None takes the profile's number.
        after: runs or jobs that must have succeeded before.
    """

    recipe: Path
    overrides: Sequence[str] = ()
    axes: Sequence[str] = ()
    profile: str
    options: JobOptions
    nodes: int | None = None
    after: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A job that could be submitted.

    Attributes:
        run_dir: in whose ``slurm/`` folder everything is kept.
        runs: run directories of a sweep; empty if it is none.
        profile: with the counts of the job.
        job: what to ask for, all but the comment.
        wanted: what it was made from.
        followed: whether another job scores beside it.
    """

    run_dir: Path
    runs: tuple[str, ...]
    profile: Profile
    job: JobOptions
    wanted: SlurmRequest
    followed: bool = False

    def script(self, mark: str) -> str:
        """The script for a submission."""
        job = replace(self.job, comment=Submission(mark=mark).comment)
        variables = {"PROFILE": str(self.profile.path), "VENV": sys.prefix, MARK: mark}
        sweep = [word for axis in self.wanted.axes for word in ("--array", axis)]
        arguments = [str(self.wanted.recipe), *self.wanted.overrides, *sweep]
        return script_text(shipped_script(), job, variables, arguments)

    def follower_script(self, beside: str) -> str:
        """The script of the job that scores beside a submitted one: one node, one device."""
        job = replace(
            self.job,
            name=f"{self.job.name}-follow",
            output=log_path(folder_of(self.run_dir.absolute()), "follow-%j.out"),
            comment="tunesmith:follow",
            nodes=1,
            gpus=None if self.job.gpus is None else 1,
            after=(),
            beside=beside,
        )
        variables = {"VENV": sys.prefix}
        return script_text(shipped_script("follow.sbatch"), job, variables, [str(self.run_dir)])


def prepare_job(wanted: SlurmRequest) -> Prepared:
    """Check everything that can be known before a job is queued.

    Raises:
        UserError: the recipe, a combination of the sweep, the profile or an option is wrong.
    """
    base = load_recipe(wanted.recipe, wanted.overrides)
    run_dir = Path(str(base.run.dir))
    followed = base.eval.mode == "follower"
    if followed and wanted.axes:
        raise UserError(
            "a sweep's runs cannot each have a follower's job",
            str(wanted.recipe),
            "write `eval.mode=async`: each run is then scored by a process of its own",
        )
    profile = _profile_of(wanted)
    sweep = combinations(wanted.axes) if wanted.axes else []
    runs = []
    for task in range(len(sweep)) if sweep else [None]:
        overrides = picked(str(run_dir), wanted.overrides, wanted.axes, task)
        recipe, several = load_with_variants(wanted.recipe, overrides)
        for each in [one for _, one in several] or [recipe]:
            divide(each.batch.size, each.batch.micro, profile.processes, typical_tokens=1.0)
        runs += [str(recipe.run.dir)] if sweep else []
    _check_time(wanted.options, run_dir)
    job = replace(
        wanted.options,
        name=job_name(str(run_dir)),
        output=log_path(folder_of(run_dir.absolute()), "%A_%a.out" if sweep else "%j.out"),
        nodes=profile.machines,
        gpus=profile.processes_per_machine if profile.device == "gpu" else None,
        tasks=len(sweep) or None,
        after=tuple(_job_of(one) for one in wanted.after),
    )
    return Prepared(
        run_dir=run_dir, runs=tuple(runs), profile=profile, job=job, wanted=wanted, followed=followed
    )


def write_script(prepared: Prepared, mark: str) -> Path:
    """Write the script into the run directory."""
    folder = folder_of(prepared.run_dir)
    make_folder(folder)
    path, text = folder / "job.sbatch", prepared.script(mark)
    if redact(text) != text:
        raise UserError(
            "the job's script would hold something that looks like a secret, and a file of a run holds none",
            str(path),
            "give it in the environment, which the job inherits, or choose another name",
        )
    write_text(path, text)
    return path


def submit_job(prepared: Prepared) -> tuple[Submission, bool]:
    """Hand a job to SLURM, unless it is there already.

    What is about to happen is written down first. So whenever this client dies, the next one finds the
    job by the comment it bears, or knows that there is none.

    Returns:
        The submission, and whether it is new.

    Raises:
        UserError: SLURM refuses the job, or another client is at it.
    """
    folder = folder_of(prepared.run_dir)
    make_folder(folder)
    with own(folder):
        before = found_again(prepared.run_dir)
        if before is not None and any(not job.is_over for job in my_jobs([str(before.job)])):
            return _with_follower(prepared, before), False
        new = Submission(mark=secrets.token_hex(8), runs=prepared.runs)
        script = write_script(prepared, new.mark)
        write_submission(prepared.run_dir, new)
        new = replace(new, job=submit_script(script))
        write_submission(prepared.run_dir, new)
        _refuse_endless_wait(str(new.job))
        return _with_follower(prepared, new), True


def _with_follower(prepared: Prepared, submission: Submission) -> Submission:
    """Submit the job that scores beside a run, once it has begun; if that is wanted, and once."""
    if not prepared.followed or submission.follower is not None:
        return submission
    path = folder_of(prepared.run_dir) / "follow.sbatch"
    write_text(path, prepared.follower_script(str(submission.job)))
    submission = replace(submission, follower=submit_script(path))
    write_submission(prepared.run_dir, submission)
    return submission


def found_again(run_dir: Path) -> Submission | None:
    """The newest submission with its job's number, learnt from SLURM or from the job if the client died.

    Raises:
        UserError: SLURM is not here or does not answer, so nothing is known.
    """
    known = read_submission(run_dir)
    if known is None or known.job is not None:
        return known
    bearing = [job.job for job in my_jobs() if job.comment == known.comment]
    starts = [run_dir, *(Path(one) for one in known.runs)]
    begins = [start for one in starts for start in read_starts(one) if "job" in start]
    begun = [start["job"] for start in begins if start.get("mark") == known.mark]
    job = next((str(one).partition("_")[0] for one in [*bearing, *begun]), None)
    if job is None:
        return None
    known = replace(known, job=job)
    write_submission(run_dir, known)
    return known


def _refuse_endless_wait(job: str) -> None:
    """Some clusters accept what no node of the partition can ever give, and let it wait for ever."""
    deadline = time.monotonic() + _SCHEDULER_SECONDS
    state = next(iter(my_jobs([job])), None)
    undecided = ("", "PartitionConfig")
    while state is not None and state.reason in undecided and time.monotonic() < deadline:
        if state.state != "PENDING":
            return
        time.sleep(0.2)
        state = next(iter(my_jobs([job])), None)
    if state is not None and state.reason in ("PartitionNodeLimit", "PartitionTimeLimit"):
        cancel_job(job)
        raise UserError(
            f"the partition does not have what the job asks for ({state.reason}), so job {job} was cancelled",
            hint="ask for fewer nodes or less time; `sinfo` lists the partitions and their limits",
        )


def _profile_of(wanted: SlurmRequest) -> Profile:
    """The profile with the job's counts: GPUs asked for are processes."""
    profile = read_profile(wanted.profile)
    nodes = wanted.nodes or profile.machines
    if wanted.options.gpus is not None and profile.device == "cpu":
        raise UserError(
            f"profile `{profile.name}` computes on processors, and `--gpus` asks for GPUs",
            str(profile.path),
            "leave out `--gpus`, or choose a profile for GPUs",
        )
    per_node = wanted.options.gpus or profile.processes_per_machine
    return resized(profile, per_node * nodes, nodes)


def _check_time(options: JobOptions, run_dir: Path) -> None:
    """Make sure that the time limit leaves time to train, and for the longest evaluation seen so far."""
    if options.time is None:
        return
    _, seconds = read_time(options.time)
    working = seconds - options.notice
    if working <= 0:
        raise UserError(
            f"a time limit of {seconds} s leaves no time: the run saves {options.notice} s before it",
            hint="give a longer `--time`, or a shorter `--notice`",
        )
    records = read_journal(run_dir / "metrics.jsonl")
    longest = max((float(one["seconds"]) for one in records if one.get("kind") == "eval"), default=0.0)
    if longest > working:
        raise UserError(
            f"the time limit is shorter than one evaluation: {working} s until the run saves, and an "
            f"evaluation of this run has taken {longest:.0f} s",
            hint="give a longer `--time`, or evaluate on fewer rows with `eval.limit=…`",
        )


def _job_of(run_or_job: str) -> str:
    """The number of a job: as given, or of a run's newest submission."""
    if run_or_job.isdigit():
        return run_or_job
    known = found_again(Path(run_or_job))
    if known is None or known.job is None:
        raise UserError(
            f"no job is known of `{run_or_job}`",
            hint="give a job's number, or the directory of a submitted run",
        )
    return known.job
