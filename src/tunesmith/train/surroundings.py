"""What a run ran on: versions, host, world and commit, for ``environment.json``."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tunesmith.train.accelerator import Place

PACKAGES = (
    "tunesmith",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "evaluate",
    "deepspeed",
    "tokenizers",
    "safetensors",
    "numpy",
)


def surroundings(place: Place, *, dtype: torch.dtype, recipe_hash: str, data: str) -> dict[str, Any]:
    """The content of ``environment.json``, but for the resources that only the end knows."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "world_size": place.world.world_size,
        "launcher": place.world.launcher,
        "zero_stage": 0,
        "precision": str(dtype).removeprefix("torch."),
        "threads": place.threads,
        "device": str(place.accelerator.device),
        "git_commit": _commit(),
        "recipe_hash": recipe_hash,
        "data_fingerprint": data,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
