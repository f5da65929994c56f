"""Whether this machine has what a profile asks for, told before anything is launched."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.launch.profiles.profile import Profile, profile_names, read_profile
from tunesmith.suggest import any_of


def require_hardware(profile: Profile, environ: Mapping[str, str]) -> None:
    """Make sure that this machine can run its part of a profile.

    Raises:
        UserError: it has too few GPUs, or no DeepSpeed; names what it can run.
    """
    if profile.engine == "deepspeed" and find_spec("deepspeed") is None:
        raise UserError(
            f"profile `{profile.name}` shards with DeepSpeed, which is not installed",
            where=str(profile.path),
            hint="`pip install --no-build-isolation tunesmith[zero]`, or choose a profile without it: "
            "`node`, `node_fsdp2`, `cpu_2proc`, `cpu_fsdp2`",
        )
    wanted = profile.processes_per_machine
    if profile.device == "cpu" or _plainly_there(environ) >= wanted:
        return
    there = count_gpus()
    if there >= wanted:
        return
    fewer = f"add `--processes {there * profile.machines}`, or " if there and profile.processes > 1 else ""
    raise UserError(
        f"profile `{profile.name}` wants {_gpus(wanted)}{' on each machine' * (profile.machines > 1)}, "
        f"and this machine has {_gpus(there) if there else 'none'}",
        where=str(profile.path),
        hint=f"{fewer}choose a profile that it can run: {any_of(_fitting(there))}",
    )


def refuse_taken_port(port: int) -> None:
    """Make sure that the first of several machines can be met at a port of it.

    Raises:
        UserError: something else listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as problem:
            raise UserError(
                f"port {port}, where the machines are to meet, is taken: {problem.strerror}",
                hint="choose another one, the same on each machine; `ss -ltnp` says who has it",
            ) from None


def count_gpus() -> int:
    """GPUs that a process started now would see, as torch counts them."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _plainly_there(environ: Mapping[str, str]) -> int:
    """NVIDIA's device files, which can be counted without torch; 0 where that says nothing certain."""
    if "CUDA_VISIBLE_DEVICES" in environ:
        return 0
    return len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])


def _fitting(gpus: int) -> list[str]:
    names = []
    for name in profile_names():
        try:
            profile = read_profile(name)
        except UserError:
            continue  # A file of the user's that is not the matter now.
        if profile.machines == 1 and (profile.device == "cpu" or profile.processes <= gpus):
            names.append(name)
    return names


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
