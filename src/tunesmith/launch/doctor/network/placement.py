"""Where the doctor's processes are started: here, on the nodes of an allocation, or over ssh."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.launch.doctor.disk import nearest_folder
from tunesmith.launch.doctor.finding import DoctorFinding
from tunesmith.launch.doctor.network.ranks import Order
from tunesmith.launch.doctor.network.start import (
    free_port,
    leave_token,
    local_command,
    slurm_command,
    ssh_commands,
)
from tunesmith.launch.doctor.requirements import Requirements
from tunesmith.launch.local.hosts import Host, reach
from tunesmith.launch.slurm.cluster import first_address

_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Placement:
    """What to start, or why nothing is started.

    Attributes:
        order: what the ranks do; None if nothing is started.
        commands: that start them.
        token: a file that every machine should see; to be removed.
        findings: instead.
    """

    order: Order | None = None
    commands: Sequence[Sequence[str]] = ()
    token: Path | None = None
    findings: tuple[DoctorFinding, ...] = ()


def placement_of(
    needs: Requirements,
    run_dir: Path,
    *,
    hosts: Sequence[Host],
    environ: Mapping[str, str],
    dev: Path = Path("/dev"),
) -> Placement:
    """Decide where the ranks are started.

    Args:
        needs: how many, on how many machines.
        run_dir: where the machines look for a file.
        hosts: of a hostfile; then ssh starts the ranks.
        environ: tells of an allocation.
        dev: where the device files of GPUs are.
    """
    if needs.processes == 1:
        return Placement(
            findings=(DoctorFinding("processes", "ok", "one process, which has nobody to meet"),)
        )
    gpus = len([name for name in dev.glob("nvidia[0-9]*") if name.name[6:].isdigit()])
    if needs.machines == 1 and needs.device == "gpu" and gpus < needs.local_processes:
        what = f"not started: {needs.local_processes} processes want a GPU each, and this machine has {gpus}"
        return Placement(
            findings=(
                DoctorFinding("processes", "unknown", what, "choose a profile that fits, or run it there"),
            )
        )
    if not machines_reachable(needs, hosts, environ):
        what = f"the profile's {needs.machines} machines are not here"
        remedy = (
            f"`srun` or `salloc --nodes={needs.machines}` and then `tunesmith doctor`, or give --hostfile"
        )
        return Placement(findings=(DoctorFinding("processes", "unknown", what, remedy),))
    return _started(needs, run_dir, hosts, environ, nearest_folder(run_dir.absolute()))


def _started(
    needs: Requirements, run_dir: Path, hosts: Sequence[Host], environ: Mapping[str, str], folder: Path
) -> Placement:
    order = Order(
        world=needs.local_processes * needs.machines,
        local=needs.local_processes,
        node=0,
        port=free_port(),
        gpu=needs.device == "gpu",
        seconds=_SECONDS,
    )
    if needs.machines == 1:
        return Placement(order, [local_command(order)])
    try:
        meeting = reach(hosts[: needs.machines], folder) if hosts else None
    except UserError as error:
        return Placement(findings=(DoctorFinding("hosts", "problem", error.what, error.hint),))
    token = leave_token(run_dir)
    seen = str(token.absolute()) if token else ""
    if meeting is not None:
        port = meeting.port or free_port()
        order = replace(order, address=meeting.address, port=port, token=seen)
        return Placement(order, ssh_commands(order, [host.name for host in hosts[: needs.machines]]), token)
    address = first_address(environ.get("SLURM_JOB_NODELIST", ""))
    order = replace(order, address=address, port=free_port(secrets.randbelow(2**31)), token=seen)
    return Placement(order, [slurm_command(order, needs.machines)], token)


def machines_reachable(needs: Requirements, hosts: Sequence[Host], environ: Mapping[str, str]) -> bool:
    """Whether the profile's machines can be reached: this one alone, given hosts, or an allocation."""
    nodes = environ.get("SLURM_JOB_NUM_NODES", environ.get("SLURM_NNODES", "0"))
    allocated = "SLURM_JOB_ID" in environ and nodes.isdigit() and int(nodes) >= needs.machines
    return needs.machines == 1 or len(hosts) >= needs.machines or allocated
