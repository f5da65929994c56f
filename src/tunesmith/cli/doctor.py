"""``tunesmith doctor``: the findings as text, and whether one of them is a problem."""

from __future__ import annotations

from pathlib import Path

from tunesmith.launch.command import resized
from tunesmith.launch.doctor.examine import examine
from tunesmith.launch.doctor.finding import findings_text, worst
from tunesmith.launch.local.hosts import read_hostfile
from tunesmith.launch.profiles.profile import read_profile
from tunesmith.recipe.load import load_recipe


def diagnose(recipe: Path | None, on: str | None, hostfile: Path | None) -> tuple[str, bool]:
    """Look at everything that a run would need.

    Args:
        recipe: tells the run directory and the kind of weights; without it ``runs`` is looked at.
        on: a profile, by name or path.
        hostfile: machines that ssh reaches; their number is the profile's then.

    Returns:
        The text, and whether there is a problem.

    Raises:
        UserError: the recipe, the profile or the hostfile has a mistake.
    """
    loaded = load_recipe(recipe) if recipe is not None else None
    profile = read_profile(on) if on is not None else None
    hosts = read_hostfile(hostfile) if hostfile is not None else []
    if profile is not None and hosts:
        profile = resized(profile, sum(host.slots for host in hosts), len(hosts))
    findings = examine(
        profile,
        Path(loaded.run.dir or "runs") if loaded is not None else Path("runs"),
        quantized=loaded is not None and loaded.model.quantize is not None,
        hosts=hosts,
    )
    return findings_text(findings), worst(findings) == "problem"
