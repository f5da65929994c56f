"""The profile for ``--on auto``: the plan's choice for the devices of this machine."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import UserError
from tunesmith.launch.profiles.profile import Profile, read_profile
from tunesmith.plan.recommend import Recommendation, recommend
from tunesmith.plan.workload import Workload, can_divide
from tunesmith.recipe.schema.recipe import Recipe

if TYPE_CHECKING:
    from tunesmith.prepare.hardware import Device, Hardware


def choose_profile(recipe: Recipe, folder: Path, here: Hardware | None = None) -> Profile:
    """The cheapest way to shard the recipe over this machine's devices that fits; prints why.

    Args:
        recipe: what will be trained.
        folder: of the recipe's file.
        here: the machine; None is looked at.

    Raises:
        UserError: if the recipe does not fit as it is; names the change that would.
    """
    from tunesmith.prepare.hardware import detect_hardware

    here = here or detect_hardware()
    if recipe.model.source is not None and recipe.model.source.endswith((".yaml", ".yml")):
        # Its base model has yet to be made by another recipe, so there is nothing to plan with.
        return _plain(here.gpus)
    choice = recommend_profile(recipe, folder, here)
    if not choice.fits or choice.changes:
        raise UserError(
            f"the plan finds no way to run this recipe here as it is: {choice.why}",
            hint=f"add {' '.join(choice.changes)}" if choice.changes else "see `tunesmith plan`",
        )
    print(f"choice     {choice.profile}: {choice.why}", flush=True)
    profile = read_profile(choice.profile)
    return (
        profile if choice.sharding.processes == 1 else replace(profile, processes=choice.sharding.processes)
    )


def recommend_profile(recipe: Recipe, folder: Path, here: Hardware) -> Recommendation:
    """The plan's choice for so many devices; all of them, or as many as the batch can be shared among."""
    from tunesmith.prepare.estimate import estimate

    device: Device = "gpu" if here.gpus else "cpu"
    job = estimate(recipe, folder, dtype=here.dtype(recipe.model.dtype, "no", device)).job
    processes = _divisor(job, max(1, here.gpus))
    capacity = here.capacity(device, processes)
    return recommend(
        job,
        processes=processes,
        capacity=float("inf") if capacity is None else capacity,
        device=device,
        host=None if here.host_memory is None else here.host_memory / processes,
        zero=find_spec("deepspeed") is not None,
    )


def _divisor(job: Workload, devices: int) -> int:
    return max(count for count in range(1, devices + 1) if can_divide(job, count))


def _plain(gpus: int) -> Profile:
    """All GPUs, each with a whole copy; the one GPU; or the processor."""
    if gpus > 1:
        return replace(read_profile("node"), processes=gpus)
    return read_profile("gpu" if gpus else "cpu")
