"""An allocation: what SLURM gave a job, and the command that fills it with processes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.launch.command import resized
from tunesmith.launch.profiles.profile import Profile, read_profile
from tunesmith.launch.slurm.cluster import environment_job, first_address
from tunesmith.launch.sweep import combinations
from tunesmith.recipe.load import load_recipe, load_with_variants

LOST_PEER_SECONDS = 60
"""When the first node's part of a run has ended, the others have this long before they are killed."""

MARK = "TUNESMITH_SUBMISSION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What SLURM gave this job.

    Attributes:
        job: as SLURM's commands want it.
        mark: of the submission; the job's number if it was submitted by hand.
        nodes: number of them.
        node_list: their names, as SLURM shortens them.
        gpus: of each node; 0 if none was asked for.
        restarts: how often it has been requeued.
        task: number of this run in an array; None if it is none.
        port: where the processes meet.
    """

    job: str
    mark: str
    nodes: int
    node_list: str
    gpus: int
    restarts: int
    task: int | None
    port: int


def read_allocation(environ: Mapping[str, str]) -> Allocation:
    """Read what SLURM tells a batch script.

    Raises:
        UserError: there is no job.
    """
    if "SLURM_JOB_ID" not in environ:
        raise UserError(
            "this is not inside a SLURM job", hint="submit it: `tunesmith submit RECIPE --on PROFILE`"
        )
    task = environ.get("SLURM_ARRAY_TASK_ID")
    port = environ.get("MASTER_PORT") or 20000 + int(environ["SLURM_JOB_ID"]) % 20000
    return Allocation(
        job=environment_job(environ),
        mark=environ.get(MARK) or f"job-{environ['SLURM_JOB_ID']}",
        nodes=int(environ.get("SLURM_JOB_NUM_NODES", "1")),
        node_list=environ.get("SLURM_JOB_NODELIST", ""),
        gpus=int(environ.get("SLURM_GPUS_ON_NODE") or 0),
        restarts=int(environ.get("SLURM_RESTART_COUNT") or 0),
        task=None if task is None else int(task),
        port=int(port),
    )


def picked(base: str, overrides: Sequence[str], axes: Sequence[str], task: int | None) -> list[str]:
    """The overrides of this task, its run directory below the sweep's included (pure).

    Raises:
        UserError: it is no task of the sweep.
    """
    if not axes:
        return list(overrides)
    runs = combinations(axes)
    if task is None or task >= len(runs):
        what = "this job is no array" if task is None else f"the array has a task {task}"
        raise UserError(
            f"{what}, and the sweep is of {len(runs)} runs", hint=f"submit with `--array=0-{len(runs) - 1}`"
        )
    return [*overrides, *runs[task].overrides, f"run.dir={base}/{runs[task].name}"]


def run_directories(recipe: Path, overrides: Sequence[str]) -> list[Path]:
    """Where this job makes progress: the run's directory first, its variants', its base model's."""
    loaded, several = load_with_variants(recipe, overrides)
    found = [loaded, *(each for _, each in several)]
    sources = {str(each.model.source) for each in found}
    bases = [load_recipe(Path(one)) for one in sorted(sources) if one.endswith((".yaml", ".yml"))]
    return [Path(str(each.run.dir)) for each in (*found, *bases)]


def profile_for(allocation: Allocation, named: str | None) -> Profile:
    """The profile that was named, or the data-parallel one that fits, with the allocation's counts."""
    per_node = allocation.gpus
    if named is None:
        several = allocation.nodes * max(per_node, 1) > 1
        named = ("node" if several else "gpu") if per_node else ("cpu_2proc" if several else "cpu")
        per_node = max(per_node, 1)
    profile = read_profile(named)
    return resized(profile, (per_node or profile.processes_per_machine) * allocation.nodes, allocation.nodes)


def launch_words(
    recipe: Path, overrides: Sequence[str], profile: Profile, allocation: Allocation
) -> list[str]:
    """The command that starts the run on every node (pure, but for the first node's address)."""
    run = [sys.executable, "-P", "-m", "tunesmith", "run", str(recipe), *overrides, "--on", str(profile.path)]
    run += ["--processes", str(profile.processes)]
    nodes = str(allocation.nodes)
    # The first end does not kill the others: they may be saving. A peer that hangs ends a minute later.
    srun = ["srun", "--nodes", nodes, "--ntasks", nodes, "--ntasks-per-node=1", "--kill-on-bad-exit=0"]
    srun += [f"--wait={LOST_PEER_SECONDS}"]
    if allocation.nodes == 1:
        return [*srun, *run]
    meeting = f"{nodes}@{first_address(allocation.node_list)}:{allocation.port}"
    # Which machine of how many is known on the node only, hence the shell; the words arrive whole.
    return [*srun, "bash", "-c", f'exec "$@" --machine "$SLURM_NODEID/{meeting}"', "bash", *run]
