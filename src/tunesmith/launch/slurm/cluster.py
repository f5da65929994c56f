"""What is asked of SLURM, through its own commands: submit, look, cancel, requeue."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import UserError

ANSWER_SECONDS = 30
"""How long a command of SLURM's may take."""

_OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
    "REVOKED",
}
_SAID = re.compile(r"^(sbatch|squeue|scancel|scontrol|sinfo): (error: )?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class JobState:
    """A job, or one task of an array, as SLURM sees it.

    Attributes:
        job: ``17``, or ``17_3`` for a task of an array.
        state: ``PENDING``, ``RUNNING``, ``COMPLETED`` …
        reason: why it waits, or why it was ended; empty if there is none.
        comment: what it was submitted with.
    """

    job: str
    state: str
    reason: str = ""
    comment: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it will not run any more."""
        return self.state in _OVER


def submit_script(script: Path) -> str:
    """Hand a script to SLURM; gives the job's number.

    Raises:
        UserError: SLURM is not here, refuses the job, or does not answer.
    """
    said = _ask(["sbatch", "--parsable", str(script)], "the job was not accepted", timeout=120)
    return said.strip().partition(";")[0]


def my_jobs(jobs: Iterable[str] | None = None) -> list[JobState]:
    """Jobs of this user that SLURM still knows, those that ended minutes ago included.

    Args:
        jobs: numbers to look at; None for all. Unknown ones are left out.

    Raises:
        UserError: SLURM is not here or does not answer.
    """
    wanted = None if jobs is None else {job.partition("_")[0] for job in jobs}
    if wanted is not None and not wanted:
        return []
    command = ["squeue", "--noheader", "--states=all", "--array", "--user", getpass.getuser()]
    said = _ask([*command, "--format=%i|%T|%r|%k"], "the jobs cannot be listed")
    found = []
    for line in said.splitlines():
        job, state, reason, comment = [*line.split("|", 3), "", "", ""][:4]
        if wanted is None or job.partition("_")[0] in wanted:
            found.append(JobState(job, state, "" if reason == "None" else reason, comment))
    return found


def cancel_job(job: str) -> None:
    """End a job, or one task of an array; it is not requeued.

    Raises:
        UserError: SLURM is not here, does not answer, or does not know the job.
    """
    _ask(["scancel", "--verbose", job], f"job {job} cannot be cancelled")


def requeue_job(job: str) -> None:
    """Put a running job back into the queue.

    Raises:
        UserError: SLURM refuses, or does not answer.
    """
    _ask(["scontrol", "requeue", job], "the job cannot be requeued")


def partitions() -> list[str]:
    """Names of the cluster's partitions; none if that cannot be found out."""
    try:
        return sorted(set(_ask(["sinfo", "--noheader", "--format=%R"], "no partitions").split()))
    except UserError:
        return []


def _ask(command: Sequence[str], what: str, *, timeout: int = ANSWER_SECONDS) -> str:
    if shutil.which(command[0]) is None:
        raise UserError(
            f"`{command[0]}` is not here, so this is no machine of a SLURM cluster",
            hint="submit from a login node of the cluster; `--dry-run` writes the script anywhere",
        )
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{what}: `{command[0]}` has not answered in {timeout} s", hint=ASK_AGAIN) from None
    said = _SAID.sub("", done.stderr).strip()
    if done.returncode or "error:" in done.stderr:
        raise UserError(f"{what}: {said or f'status {done.returncode}'}", hint=_hint(said))
    return done.stdout


ASK_AGAIN = "the controller may be restarting: give the same command again in a minute"


def _hint(said: str) -> str:
    low = said.lower()
    if "configuration source" in low:
        return "SLURM is installed here and belongs to no cluster: use a login node, or set SLURM_CONF"
    if "contact" in low or "timed out" in low or "connection" in low:
        return ASK_AGAIN
    if "partition" in low:
        names = partitions() if "invalid" in low else []
        known = ", ".join(f"`{name}`" for name in names)
        return f"the partitions are {known}" if known else "`sinfo` lists the partitions and their limits"
    if "account" in low or "qos" in low:
        return "`sacctmgr show assoc user=$USER` lists what you may use"
    if any(word in low for word in ("configuration is not available", "node count", "gres")):
        return "ask for fewer nodes, GPUs or cores; `sinfo --Node --long` lists what there is"
    if "invalid job id" in low:
        return "`tunesmith status` lists the jobs"
    return "`sbatch --help` explains the options"


def environment_job(environ: Mapping[str, str]) -> str:
    """The running job as SLURM's commands want it; a task of an array goes by the array's number."""
    array = environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{environ['SLURM_ARRAY_TASK_ID']}" if array else environ["SLURM_JOB_ID"]


def first_address(nodes: str) -> str:
    """Address of the first node of a list such as ``n[1-4]``; a node's name need not be a host's."""
    names = _scontrol("show", "hostnames", nodes).split()
    first = names[0] if names else nodes
    told = re.search(r"NodeAddr=(\S+)", _scontrol("-o", "show", "node", first))
    return told[1] if told else first


def _scontrol(*words: str) -> str:
    try:
        done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
