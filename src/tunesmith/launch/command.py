"""The ``accelerate launch`` command of a recipe on a profile. Pure."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.launch.profiles.profile import Profile

DEFAULT_PORT = 29500
"""Where the first process is met by those of other machines, if nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """How several machines find each other.

    Attributes:
        machine_rank: number of this machine, from 0.
        address: of the first machine.
        port: on the first machine; None is ``DEFAULT_PORT``.
    """

    machine_rank: int = 0
    address: str
    port: int | None = None


def resized(profile: Profile, processes: int | None = None, machines: int | None = None) -> Profile:
    """The profile with other counts; the number of processes is the total.

    Raises:
        UserError: the counts contradict each other or the profile.
    """
    machines = profile.machines if machines is None else machines
    if processes is None:
        processes = profile.processes_per_machine * machines
    if processes < 1 or machines < 1 or processes % machines:
        raise UserError(
            f"{processes} processes cannot be shared evenly among {machines} machines",
            hint="the number of processes is the total: a multiple of the number of machines",
        )
    if profile.engine == "single" and processes > 1:
        raise UserError(
            f"profile `{profile.name}` is for one process, not {processes}",
            where=str(profile.path),
            hint="choose one for several: `node` on GPUs, `cpu_2proc` on a processor",
        )
    each, within = processes // machines, profile.partition_within
    if within is not None and each % within:
        raise UserError(
            f"profile `{profile.name}` keeps a copy of the weights in every {within} processes, "
            f"and there are {each} on each machine",
            where=str(profile.deepspeed_file or profile.path),
            hint=f"set `zero_hpz_partition_size` to {each} in a copy of this file and of its profile",
        )
    return replace(profile, processes=processes, machines=machines)


def launch_arguments(
    profile: Profile,
    recipe: Path,
    overrides: Sequence[str] = (),
    *,
    as_module: bool = False,
    meeting: Meeting | None = None,
    hostfile: Path | None = None,
    python: str = sys.executable,
) -> list[str]:
    """The command, word by word; it can be given from any folder.

    Args:
        profile: with the counts that are wanted, see ``resized``.
        recipe: the file; taken as it is, so a relative one is relative to where the command is given.
        overrides: ``key.path=value`` and ``--fresh``.
        as_module: for a recipe that is YAML only and no program.
        meeting: how several machines find each other, each given its own command.
        hostfile: several machines, started by DeepSpeed's own launcher over ssh.
        python: the interpreter whose Accelerate is used.

    Raises:
        UserError: several machines, and neither a meeting nor a hostfile.
    """
    # -P: a file `queue.py` where the command is given is not the library's
    words = [python, "-P", "-m", "accelerate.commands.launch", "--config_file", str(profile.path.absolute())]
    if profile.deepspeed_file is not None:
        # A profile names it relative to the folder above it, and Accelerate looks where one stands.
        words += ["--deepspeed_config_file", str(profile.deepspeed_file)]
    words += ["--num_processes", str(profile.processes), "--num_machines", str(profile.machines)]
    if hostfile is not None:
        words += ["--deepspeed_multinode_launcher", "pdsh", "--deepspeed_hostfile", str(hostfile)]
    if meeting is not None:
        words += ["--main_process_ip", meeting.address]
        words += ["--main_process_port", str(DEFAULT_PORT if meeting.port is None else meeting.port)]
        if hostfile is None:
            words += ["--machine_rank", str(meeting.machine_rank)]
    elif profile.machines > 1:
        raise _several_machines(profile, [*words, str(recipe), *overrides])
    program = ["-m", "tunesmith", str(recipe)] if as_module else [str(recipe)]
    return [*words, *program, *overrides]


def _several_machines(profile: Profile, words: Sequence[str]) -> UserError:
    by_hand = shlex.join([*words[:6], "--machine_rank", "N", "--main_process_ip", "ADDRESS", *words[6:]])
    return UserError(
        f"profile `{profile.name}` is for {profile.machines} machines, and nothing says which",
        where=str(profile.path),
        hint="under SLURM use `tunesmith submit`; over ssh add `--hostfile FILE`; by hand give on each "
        f"machine, N counting from 0 and ADDRESS being the first one's:\n  {by_hand}",
    )
