"""Versions of the packages that a run stands on, and combinations known to be bad."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tunesmith.launch.doctor.finding import DoctorFinding, State
from tunesmith.launch.doctor.requirements import Requirements

SHOWN = (
    "torch",
    "transformers",
    "accelerate",
    "deepspeed",
    "peft",
    "datasets",
    "safetensors",
    "bitsandbytes",
)


@dataclass(frozen=True, slots=True)
class Bad:
    """A known-bad version, or one that is bad beside another package's.

    Attributes:
        package: the one to change.
        versions: those that are bad.
        why: what goes wrong.
        use: the version to install instead.
        beside: another package and its versions; bad only together with these.
        state: how bad.
    """

    package: str
    versions: str
    why: str
    use: str
    beside: tuple[str, str] | None = None
    state: State = "problem"


KNOWN_BAD = (
    Bad(
        "torch",
        "<2.6",
        "`torch.load` runs code from a file in spite of weights_only (CVE-2025-32434)",
        ">=2.10",
    ),
    Bad(
        "torch",
        ">=2.6,<2.10",
        "a crafted checkpoint breaks out of `torch.load(weights_only=True)` (CVE-2026-24747)",
        ">=2.10",
    ),
    Bad(
        "peft",
        "<0.18",
        "it imports `HybridCache`, which transformers 5 no longer has, and so cannot be imported",
        ">=0.18",
        beside=("transformers", ">=5.0"),
    ),
    Bad(
        "transformers",
        "<5.0",
        "it reads the state of random numbers with pickle when it resumes (CVE-2026-1839)",
        ">=5.0",
        beside=("torch", "<2.6"),
    ),
    Bad(
        "numpy",
        ">=2",
        "torch before 2.3 was built for numpy 1, and tensors cannot be handed over",
        "<2",
        beside=("torch", "<2.3"),
    ),
    Bad(
        "bitsandbytes",
        "<0.46",
        "it has no 4-bit and 8-bit layers for processors, nor operators that torch can trace",
        ">=0.46",
    ),
    Bad(
        "lightning",
        "==2.6.2,==2.6.3",
        "these two uploads were malicious (GHSA-w37p-236h-pfx3); treat this machine's secrets as stolen",
        ">2.6.3",
    ),
)
"""Each with its reason. Versions outside ``pyproject.toml`` are found without being listed here."""

_OPTIONAL = {
    "deepspeed": (
        "the profile shards with DeepSpeed",
        "pip install --no-build-isolation 'tunesmith[zero]'",
    ),
    "bitsandbytes": ("the frozen weights are quantised", "pip install 'tunesmith[quantized]'"),
}


def check_versions(needs: Requirements) -> list[DoctorFinding]:
    """Look at what is installed here."""
    names = {*SHOWN, *(bad.package for bad in KNOWN_BAD)}
    installed = {name: version for name in names if (version := installed_version(name)) is not None}
    try:
        required = metadata.requires("tunesmith") or []
    except metadata.PackageNotFoundError:  # run from a source folder
        required = []
    found = judge_versions(installed, required, needs)
    shown = ", ".join(f"{name} {installed[name]}" for name in SHOWN if name in installed)
    python = ".".join(map(str, sys.version_info[:3]))
    return [*found, DoctorFinding("versions", "ok", f"python {python}, {shown}")]


def installed_version(name: str) -> str | None:
    """Version of an installed distribution; None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def judge_versions(
    installed: Mapping[str, str], required: Iterable[str], needs: Requirements
) -> list[DoctorFinding]:
    """What is wrong with a set of versions.

    Args:
        installed: name of a distribution to its version.
        required: requirements as a distribution's metadata has them, with their markers.
        needs: decides which optional packages must be there.
    """
    wanted = list(_wanted(required, needs))
    missing = [_missing(need) for need in wanted if need.name not in installed and need.name in SHOWN]
    outside = [
        DoctorFinding(
            "versions",
            "problem",
            f"{need.name} {installed[need.name]} is not one that tunesmith works with ({need.specifier})",
            f"pip install '{need.name}{need.specifier}'",
        )
        for need in wanted
        if need.name in installed and not _within(installed[need.name], str(need.specifier))
    ]
    return [*missing, *outside, *(_bad(bad, installed) for bad in KNOWN_BAD if _applies(bad, installed))]


def _wanted(required: Iterable[str], needs: Requirements) -> Iterable[Requirement]:
    extras = ["", *(["zero"] if needs.deepspeed else []), *(["quantized"] if needs.quantized else [])]
    for text in required:
        need = Requirement(text)
        need.name = re.sub(r"[-_.]+", "-", need.name).lower()
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
            yield need


def _missing(need: Requirement) -> DoctorFinding:
    why, how = _OPTIONAL.get(need.name, ("tunesmith needs it", f"pip install '{need.name}{need.specifier}'"))
    return DoctorFinding("versions", "problem", f"{need.name} is not installed, and {why}", how)


def _applies(bad: Bad, installed: Mapping[str, str]) -> bool:
    pairs = [(bad.package, bad.versions), *([bad.beside] if bad.beside else [])]
    return all(name in installed and _is_one_of(installed[name], versions) for name, versions in pairs)


def _is_one_of(version: str, versions: str) -> bool:
    """Whether a version is bad: ``==a,==b`` are alternatives, everything else must hold together."""
    if versions.startswith("=="):
        return any(_within(version, each) for each in versions.split(","))
    return _within(version, versions)


def _within(version: str, versions: str) -> bool:
    # A local version (`+cpu`) says how it was built, a pre-release counts as the version it precedes.
    return SpecifierSet(versions).contains(Version(Version(version).base_version), prereleases=True)


def _bad(bad: Bad, installed: Mapping[str, str]) -> DoctorFinding:
    beside = f" beside {bad.beside[0]} {installed[bad.beside[0]]}" if bad.beside else ""
    what = f"{bad.package} {installed[bad.package]}{beside}: {bad.why}"
    return DoctorFinding("versions", bad.state, what, f"pip install '{bad.package}{bad.use}'")
