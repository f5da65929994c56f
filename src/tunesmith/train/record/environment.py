"""What a run ran on: versions, host, world and commit, for ``environment.json``."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tunesmith.plan.batch import Division
from tunesmith.recipe.check.metric_names import asked_metrics, is_from_hub, set_metrics
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.train.engine.engine import Engine
from tunesmith.train.engine.process import Process
from tunesmith.train.engine.wrap import zero_stage

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


def describe_environment(
    process: Process, *, dtype: torch.dtype, recipe_hash: str, data: str, base: str
) -> dict[str, Any]:
    """The content of ``environment.json``, but for the resources that only the end knows."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "world_size": process.world.world_size,
        "launcher": process.world.launcher,
        "zero_stage": zero_stage(process.accelerator),
        "mixed_precision": process.profile,
        "precision": str(dtype).removeprefix("torch."),
        "threads": process.threads,
        "device": str(process.accelerator.device),
        "git_commit": _commit(),
        "recipe_hash": recipe_hash,
        "data_fingerprint": data,
        "base_digest": base,
        "working_folder": str(Path.cwd()),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def remote_code(recipe: Recipe) -> list[str]:
    """Code from the hub that the recipe lets run, each with its commit; empty by default."""
    model = recipe.model
    own = [f"{model.source}@{model.revision}"] if model.trust_remote_code else []
    further = [metric for name in recipe.eval.sets for metric in set_metrics(recipe, name)]
    return [*own, *filter(is_from_hub, dict.fromkeys((*asked_metrics(recipe), *further)))]


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor_name() -> str:
    """As the system calls it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
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


def facts_of(process: Process, engine: Engine, division: Division) -> dict[str, Any]:
    """What a continuation has to share with the part before it to be exact to the last bit."""
    return {
        "processes": process.accelerator.num_processes,
        "engine": engine.name,
        "stage": engine.stage,
        "micro_batch_size": division.micro,
        "threads": process.threads,
        "torch": str(torch.__version__),
        "processor": processor_name(),
        "device": process.accelerator.device.type,
    }
