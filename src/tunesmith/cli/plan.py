"""What a recipe would do, before anything is loaded: the text of ``tunesmith plan``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.plan.cluster import cluster_table, estimate_on_cluster
from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.cost.memory_parts import MemoryParts
from tunesmith.plan.devices import Cluster, parse_cluster
from tunesmith.plan.recommend import Recommendation, profile_name, recommend
from tunesmith.plan.render import (
    choice_lines,
    cluster_lines,
    memory_lines,
    table_lines,
    traffic_lines,
    type_lines,
    work_lines,
)
from tunesmith.plan.workload import Workload, batch_division, memory_at

if TYPE_CHECKING:
    from tunesmith.launch.profiles.profile import Profile
    from tunesmith.recipe.schema.recipe import Recipe

Device = Literal["cpu", "gpu"]
NOTHING_FITS = "command    none: a run would end for want of memory; take a smaller model, or more devices"
USUAL = (24, 40, 80)
"""GiB of memory of GPUs that one meets, for a profile whose GPUs are not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTarget:
    """Where a plan is for.

    Attributes:
        device: what computes.
        processes: in all.
        capacity: bytes that each process may use; None where the devices are not here.
        dtype: of the arithmetic.
        threads: of a process.
        profile: the one that was asked for.
    """

    device: Device
    processes: int
    capacity: float | None
    dtype: str
    threads: int
    profile: Profile | None = None


def plan_text(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    on: str | None = None,
    cluster: str | None = None,
    whole_table: bool = False,
) -> str:
    """Steps, tokens, memory, traffic, operations, the recommended way to run it, and the command.

    Args:
        path: the recipe.
        overrides: ``key.path=value``.
        on: name or file of a profile, or ``auto``; None is this machine as it is.
        cluster: machines that need not be here, such as ``4x8xH100``; answers for them instead.
        whole_table: 1 to 512 devices of the cluster's type.

    Raises:
        UserError: for anything that the user must change.
    """
    from tunesmith.launch.profiles.profile import read_profile
    from tunesmith.prepare.hardware import silence_libraries
    from tunesmith.recipe.load import load_with_variants
    from tunesmith.recipe.locate import pointing

    machines = parse_cluster(cluster or "1x8xH100") if cluster is not None or whole_table else None
    profile = read_profile(on) if on is not None and on != "auto" else None
    recipe, several = load_with_variants(Path(path), overrides)
    silence_libraries()
    blocks = []
    for name, each in several or [("", recipe)]:
        head = [f"variant {name}"] if name else []
        with pointing(Path(path), overrides):
            if machines is not None:
                lines = _on_cluster(each, path, machines, whole_table=whole_table)
            else:
                lines = _on_profile(each, path, overrides, profile, auto=on == "auto")
        blocks.append("\n".join([*head, *lines]))
    return "\n\n".join(blocks)


def _on_cluster(recipe: Recipe, path: Path, cluster: Cluster, *, whole_table: bool) -> list[str]:
    from tunesmith.prepare.base_model import on_base_model
    from tunesmith.prepare.check.refusals import refuse_as_run
    from tunesmith.prepare.estimate import estimate

    sixteen = "float16" if cluster.device.name.startswith(("V100", "T4")) else "bfloat16"
    dtype = sixteen if recipe.model.dtype == "auto" else recipe.model.dtype
    seen = estimate(on_base_model(recipe), Path(path).resolve().parent, dtype=dtype)
    refuse_as_run(seen.parts)
    job = seen.job
    if whole_table:
        return table_lines(cluster_table(job, cluster), job.steps, job.batch)
    return cluster_lines(estimate_on_cluster(job, cluster), job.steps, job.batch)


def _on_profile(
    recipe: Recipe, path: Path, overrides: Sequence[str], profile: Profile | None, *, auto: bool
) -> list[str]:
    from tunesmith.plan.arithmetic import plan_text
    from tunesmith.prepare.base_model import on_base_model
    from tunesmith.prepare.check.changes import directory_taken
    from tunesmith.prepare.check.refusals import refuse_as_run
    from tunesmith.prepare.describe import describe
    from tunesmith.prepare.estimate import estimate

    place = _place(recipe, profile, auto=auto)
    seen = estimate(on_base_model(recipe), Path(path).resolve().parent, dtype=place.dtype)
    profile = place.profile
    deepspeed, stage = (_zero(profile), profile.zero_stage) if profile is not None else (False, 0)
    refuse_as_run(seen.parts, deepspeed=deepspeed, zero_stage=stage)
    job, learning = seen.job, seen.job.network.weights.learning
    sizes = {name: (size, name in learning) for name, size in job.network.weights.sizes.items()}
    arithmetic = describe(
        seen.parts,
        sizes,
        processes=place.processes,
        dtype=place.dtype,
        threads=place.threads,
        device=place.device,
    )
    division = batch_division(job, place.processes)
    rows = _rows(job, place)
    choice = _choice(job, place)
    lines = [
        plan_text(arithmetic),
        *work_lines(job, division),
        *traffic_lines(job, division),
        *type_lines(job, sharded=place.profile is not None and _zero(place.profile), dtype=place.dtype),
        *memory_lines(rows, place.capacity, _row_name(_asked(place))),
    ]
    if choice is not None:
        lines += choice_lines(choice, profile_name(choice.sharding, place.device, _machines(place)))
    else:
        lines += _usual(job, place)
    taken = directory_taken(recipe)
    if taken is not None:
        return [*lines, f"refused    a run here would be: {taken}"]
    if choice is not None and not choice.fits:
        return [
            *lines,
            NOTHING_FITS,
        ]
    return [*lines, f"command    {_command(path, overrides, place, choice, auto=auto)}"]


def _place(recipe: Recipe, profile: Profile | None, *, auto: bool) -> PlanTarget:
    import os

    from tunesmith.prepare.hardware import Hardware, detect_hardware
    from tunesmith.world.threads import exported_threads, threads_per_process, usable_cores

    here: Hardware = detect_hardware()
    device: Device = profile.device if profile is not None else ("gpu" if here.gpus else "cpu")
    if profile is not None:
        processes, local = profile.processes, profile.processes_per_machine
    else:
        processes = local = max(1, here.gpus) if auto else 1
    requested = None if recipe.run.threads == "auto" else recipe.run.threads
    exported = exported_threads(os.environ.get("OMP_NUM_THREADS"))
    precision = profile.precision if profile is not None else "no"
    return PlanTarget(
        device=device,
        processes=processes,
        capacity=here.capacity(device, local),
        dtype=here.dtype(recipe.model.dtype, precision, device),
        threads=threads_per_process(usable_cores(), local, requested, exported),
        profile=profile,
    )


def _rows(job: Workload, place: PlanTarget) -> dict[str, MemoryParts]:
    """Every way of sharding among these processes."""
    ways = [Sharding(stage=0, processes=place.processes, engine="ddp" if place.processes > 1 else "single")]
    ways += [Sharding(stage=stage, processes=place.processes) for stage in (1, 2, 3)]
    ways.append(Sharding(stage=3, processes=place.processes, offload_optimizer=True, offload_parameters=True))
    ways.append(Sharding(stage=3, processes=place.processes, engine="fsdp2"))
    return {_row_name(way): memory_at(job, way, place.device) for way in ways}


def _row_name(sharding: Sharding) -> str:
    if sharding.engine == "fsdp2":
        return "FSDP2"
    return f"stage {sharding.stage}" + (" offload" if sharding.offload_parameters else "")


def _asked(place: PlanTarget) -> Sharding:
    """How the profile shards."""
    profile = place.profile
    if profile is None:
        return Sharding(stage=0, processes=place.processes)
    away = profile.offload_parameters != "none"
    return Sharding(
        stage=profile.zero_stage,
        processes=profile.processes,
        engine=profile.engine,
        offload_optimizer=profile.offload_optimizer != "none",
        offload_parameters=away,
    )


def _choice(job: Workload, place: PlanTarget) -> Recommendation | None:
    if place.capacity is None:
        return None
    return recommend(job, processes=place.processes, capacity=place.capacity, device=place.device)


def _usual(job: Workload, place: PlanTarget) -> list[str]:
    """What would be chosen on GPUs that one meets, since there are none here."""
    lines = ["choice     no GPU is here to tell by; `--cluster 8xH100` asks for one by name"]
    for gib in USUAL:
        choice = recommend(job, processes=place.processes, capacity=gib * 2**30)
        name = profile_name(choice.sharding, place.device, _machines(place))
        what = f"{name}: {choice.why}" if choice.fits else choice.why
        lines.append(f"           on {gib} GiB each, {what}")
    return lines


def _zero(profile: Profile) -> bool:
    return profile.engine == "deepspeed" and profile.zero_stage > 0


def _machines(place: PlanTarget) -> int:
    return place.profile.machines if place.profile is not None else 1


def _command(
    path: Path, overrides: Sequence[str], place: PlanTarget, choice: Recommendation | None, *, auto: bool
) -> str:
    """What starts the run: on the profile that was asked for, or on the one that is recommended."""
    from tunesmith.launch.command import launch_arguments
    from tunesmith.launch.profiles.profile import read_profile
    from tunesmith.recipe.yaml.launchable import is_launchable

    changes = [*overrides, *(choice.changes if choice is not None else ())]
    program = is_launchable(Path(path).read_text(encoding="utf-8"))
    profile = place.profile
    if profile is None and auto and choice is not None:
        profile = read_profile(profile_name(choice.sharding, place.device))
    if profile is None:
        start = ["accelerate", "launch"] if program else ["tunesmith", "run"]
        return shlex.join([*start, str(path), *changes])
    if profile.machines > 1:
        return shlex.join(["tunesmith", "submit", str(path), "--on", profile.name, *changes])
    words = launch_arguments(profile, path, changes, as_module=not program, python="python")
    here = f"{Path.cwd()}/"
    rest = words[words.index("accelerate.commands.launch") + 1 :]
    return shlex.join(["accelerate", "launch", *(word.removeprefix(here) for word in rest)])
