"""``tunesmith submit`` to SLURM: what it says."""

from __future__ import annotations

from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.launch.doctor.examine import preflight
from tunesmith.launch.profiles.profile import Profile
from tunesmith.launch.runs import finished_status
from tunesmith.launch.slurm.record import folder_of
from tunesmith.launch.slurm.submit import SlurmRequest, prepare_job, submit_job, write_script


def submit_text(wanted: SlurmRequest, *, dry_run: bool, look_first: bool) -> str:
    """Write a job's script and submit it; gives what to say.

    Args:
        wanted: the job.
        dry_run: only write and show the script.
        look_first: refuse what would fail here for a reason that can be seen here.

    Raises:
        UserError: something must be changed first.
    """
    prepared = prepare_job(wanted)
    if dry_run:
        script = write_script(prepared, "dry-run")
        return f"{script.read_text(encoding='utf-8')}\nscript     {script}\nnot submitted: --dry-run"
    if (finished := finished_status(prepared.run_dir)) and not prepared.runs:
        return f"already finished ({finished}); another `run.dir=…` runs it anew"
    if look_first:
        _refuse_problems(prepared.profile, prepared.run_dir)
    submission, is_new = submit_job(prepared)
    run_dir, runs = prepared.run_dir, submission.runs
    job = f"job        {submission.job}" + (f" with {len(runs)} runs" if runs else "")
    lines = [
        job if is_new else f"{job}: it is there already, and nothing was submitted",
        f"script     {folder_of(run_dir) / 'job.sbatch'}",
        *(
            [f"follower   {submission.follower}, as soon as that one has begun"]
            if submission.follower
            else []
        ),
        f"watch      tunesmith status {run_dir}",
        f"log        tunesmith logs {runs[0] if runs else run_dir} -f",
        f"end        tunesmith cancel {run_dir}",
    ]
    return "\n".join(lines)


def _refuse_problems(profile: Profile, run_dir: Path) -> None:
    problems = [found for found in preflight(profile, run_dir) if found.state == "problem"]
    if problems:
        said = "; ".join(f"{found.subject}: {found.what}" for found in problems)
        hints = [found.remedy for found in problems if found.remedy]
        raise UserError(said, hint="; ".join([*hints, "`--no-preflight` submits all the same"]))
