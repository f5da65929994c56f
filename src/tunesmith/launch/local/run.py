"""``tunesmith run RECIPE --on PROFILE``: check, build the launch command, print it, run it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.checkpoint.atomic import make_folder, write_text
from tunesmith.errors import Exit, UserError
from tunesmith.launch.command import DEFAULT_PORT, Meeting, launch_arguments, resized
from tunesmith.launch.local.hosts import (
    Host,
    Machine,
    RemoteProcesses,
    passed_environment,
    reach,
    read_hostfile,
)
from tunesmith.launch.local.supervise import Ended, exit_status, run_launcher
from tunesmith.launch.profiles.auto import choose_profile
from tunesmith.launch.profiles.devices import refuse_taken_port, require_hardware
from tunesmith.launch.profiles.profile import Profile, read_profile
from tunesmith.plan.batch import divide
from tunesmith.recipe.load import load_with_variants
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.yaml.launchable import is_launchable

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for.

    Attributes:
        recipe: the file.
        arguments: overrides and ``--fresh``.
        profile: name or path, or ``auto``.
        processes: in all, where it is not the profile's number.
        hostfile: plain hosts to run on, over ssh.
        machine: which of several machines this is, each of which is given this command.
    """

    recipe: Path
    arguments: Sequence[str] = ()
    profile: str
    processes: int | None = None
    hostfile: Path | None = None
    machine: Machine | None = None


def run_on(request: Request) -> int:
    """Launch a recipe on a profile and wait for its end.

    Returns:
        The exit status of the contract, whatever the launcher made of it.

    Raises:
        UserError: what can be known to be wrong before anything is launched.
    """
    overrides = [one for one in request.arguments if one != "--fresh"]
    recipe, several = load_with_variants(request.recipe, overrides)
    hosts = read_hostfile(request.hostfile) if request.hostfile is not None else []
    profile = _profile_of(request, recipe, hosts)
    for each in [one for _, one in several] or [recipe]:
        divide(each.batch.size, each.batch.micro, profile.processes, typical_tokens=1.0)
    with _outcome_folder(Path(str(recipe.run.dir)), shared=bool(hosts)) as folder:
        meeting = reach(hosts, folder) if hosts else None
        words = _command(request, profile, folder, meeting)
        print(f"command    {shlex.join(words)}", flush=True)
        environ = _environment(profile, folder, over_ssh=bool(hosts))
        ranks = _ranks(request, profile)
        remote = RemoteProcesses(hosts, folder) if hosts else None
        ended = run_launcher(words, environ, folder, remote)
    status = exit_status(ended, len(ranks))
    _say_what_nobody_said(ended, status, profile, ranks)
    return status


def _ranks(request: Request, profile: Profile) -> range:
    """The processes whose ends are told here: all, or those of this machine."""
    if request.machine is None:
        return range(profile.processes)
    each = profile.processes_per_machine
    return range(
        request.machine.meeting.machine_rank * each, (request.machine.meeting.machine_rank + 1) * each
    )


def _profile_of(request: Request, recipe: Recipe, hosts: Sequence[Host]) -> Profile:
    """The profile with the counts of this launch, which this machine can run."""
    if request.profile == AUTO:
        profile = choose_profile(recipe, request.recipe.resolve().parent)
    else:
        profile = read_profile(request.profile)
    if not hosts:
        machines = None if request.machine is None else request.machine.machines
        profile = resized(profile, request.processes, machines)
        require_hardware(profile, os.environ)
        if request.machine is not None and request.machine.meeting.machine_rank == 0:
            refuse_taken_port(request.machine.meeting.port or DEFAULT_PORT)
        return profile
    if profile.engine != "deepspeed":
        raise UserError(
            f"`--hostfile` uses DeepSpeed's launcher, and profile `{profile.name}` is none of DeepSpeed's",
            where=str(profile.path),
            hint="choose one: `node_zero1` shards least, `nodes_zero3` most",
        )
    most = sum(host.slots for host in hosts)
    processes = most if request.processes is None else request.processes
    if processes > most:
        raise UserError(
            f"`--processes {processes}` is more than the {most} slots of the hostfile",
            where=str(request.hostfile),
            hint="ask for fewer, or add slots",
        )
    return resized(profile, processes, len(hosts))


def _command(request: Request, profile: Profile, folder: Path, meeting: Meeting | None) -> list[str]:
    if meeting is None:
        module = not is_launchable(request.recipe.read_text(encoding="utf-8"))
        own = None if request.machine is None else request.machine.meeting
        return launch_arguments(profile, request.recipe, request.arguments, as_module=module, meeting=own)
    # A shell on the other host would read what stands in the command, so it stands in a file.
    arguments = folder / "arguments.json"
    write_text(arguments, json.dumps([str(request.recipe.resolve()), *request.arguments]))
    hostfile = None if request.hostfile is None else request.hostfile.resolve()
    return launch_arguments(
        profile, Path(f"@{arguments}"), as_module=True, meeting=meeting, hostfile=hostfile
    )


def _environment(profile: Profile, folder: Path, *, over_ssh: bool) -> dict[str, str]:
    environ = dict(os.environ)
    # The launcher starts programs by name, and they stand beside the interpreter.
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ.get('PATH', os.defpath)}"
    if profile.device == "cpu":
        environ["CUDA_VISIBLE_DEVICES"] = ""
    if over_ssh:
        # DeepSpeed's launcher reads from this file what it exports on the other hosts.
        # Its own process there is started in the working directory, whose modules are not to be imported.
        further = {"DS_ENV_FILE": str(folder / "environment"), "PYTHONSAFEPATH": "1"}
        environ = passed_environment({**environ, **further})
    return environ


@contextmanager
def _outcome_folder(run_dir: Path, *, shared: bool) -> Iterator[Path]:
    """A fresh folder for outcomes; beside the run directory if other hosts must see it."""
    if shared:
        folder = run_dir.absolute().with_name(f".{run_dir.name}.launch-{secrets.token_hex(4)}")
        make_folder(folder)
    else:
        folder = Path(tempfile.mkdtemp(prefix="tunesmith-launch-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say_what_nobody_said(ended: Ended, status: int, profile: Profile, ranks: range) -> None:
    """A mistake met by a process that does not speak, or a process that is gone without a word."""
    if status == Exit.USER:
        mistakes = [outcome for outcome in ended.outcomes if outcome.status == Exit.USER]
        if all(outcome.rank % profile.processes_per_machine for outcome in mistakes):
            print(f"process {mistakes[0].rank}: {mistakes[0].message}", file=sys.stderr)
    elif status == Exit.FAULT and all(outcome.status != Exit.FAULT for outcome in ended.outcomes):
        gone = sorted(set(ranks) - {outcome.rank for outcome in ended.outcomes})
        print(
            f"process {', '.join(map(str, gone))} of {profile.processes} ended without a word: killed, "
            "perhaps by the kernel for want of memory (`dmesg` says so). The same command goes on from the "
            "last checkpoint.",
            file=sys.stderr,
        )
