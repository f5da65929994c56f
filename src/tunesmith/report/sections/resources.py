"""The sections about what a run took and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith import numbers
from tunesmith.report.run_files import RunFiles

NAMES = {
    "peak_rss_bytes": "peak memory",
    "seconds_training": "time training",
    "seconds_evaluating": "time evaluating",
    "seconds": "time in all",
    "baseline_rss_bytes": "memory before training",
    "world_size": "processes",
    "zero_stage": "weights shared out by ZeRO, stage",
    "recipe_hash": "digest of the recipe",
    "data_fingerprint": "digest of the data",
    "base_digest": "digest of the base model",
    "git_commit": "commit",
    "remote_code": "code from the hub",
    "own_code": "code from the recipe's folder",
    "code_digest": "digest of that code",
    "working_folder": "started in",
    "folder": "folder of the recipe",
}
"""Keys whose own words are not good enough."""

HIDDEN = ("mixed_precision",)
UNUSED = (("zero_stage", 0),)
"""Told in other words, and what says that a thing was not used."""

FIRST = ("seconds_training", "seconds_evaluating", "tokens_per_second", "peak_rss_bytes", "threads", "device")


def facts(run: RunFiles) -> list[str]:
    """A handful of short facts for the top of the page: steps, time, speed, memory, device."""
    environment, used = run.environment or {}, _mapping((run.environment or {}).get("resources"))
    steps = max((record["step"] for record in (*run.train, *run.evals)), default=0)
    shown = [f"{numbers.number(steps)} steps" if steps else ""]
    spent = [used.get(key) for key in ("seconds_training", "seconds_evaluating")]
    known = [seconds for seconds in spent if isinstance(seconds, int | float)]
    shown.append(numbers.duration(sum(known)) if known else "")
    speed = used.get("tokens_per_second")
    shown.append(f"{numbers.number(round(speed))} tokens/s" if isinstance(speed, int | float) else "")
    peak = used.get("peak_rss_bytes")
    shown.append(f"{numbers.size(peak)} peak memory" if numbers.is_number(peak) else "")
    shown += [str(used.get("device") or ""), str(environment.get("precision") or "")]
    threads = used.get("threads")
    shown.append(f"{threads} threads" if isinstance(threads, int) else "")
    return [fact for fact in shown if fact]


def tables(run: RunFiles) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled tables of names and values: what was used, versions, and everything else that is known."""
    environment = dict(run.environment or {})
    used = dict(_mapping(environment.pop("resources", None)))
    versions = _mapping(environment.pop("versions", None))
    ordered = {key: used.pop(key) for key in FIRST if key in used} | used
    result = run.result or {}
    ordered |= {key: value for key, value in _mapping(result.get("throughput")).items() if key not in ordered}
    about = {key: value for key, value in environment.items() if key not in {*ordered, "command", "argv"}}
    about |= {"continued": _continued(result), "precision": _precision(environment)}
    about = {key: value for key, value in about.items() if key not in HIDDEN and (key, value) not in UNUSED}
    found = [
        ("Time and memory", list(_flat(ordered))),
        ("Where and how", list(_flat(about))),
        ("Versions", list(_flat(versions))),
    ]
    return [(title, rows) for title, rows in found if rows]


def _precision(environment: Mapping[str, Any]) -> str:
    """``float32``, or ``float32, computed in bf16 where that is safe``."""
    held, mixed = str(environment.get("precision") or ""), str(environment.get("mixed_precision") or "no")
    return held if mixed == "no" or not held else f"{held}, computed in {mixed} where that is safe"


def reproduce(run: RunFiles) -> list[tuple[str, str]]:
    """What to do and the command for it, in order."""
    environment = run.environment or {}
    started = environment.get("command") or environment.get("argv")
    if isinstance(started, list):
        started = shlex.join(str(word) for word in started)
    steps = [("Started as", str(started))] if started else []
    steps += _same_code(environment)
    again = shlex.quote(f"run.dir={run.name.rstrip('/')}-again")
    world = environment.get("world_size")
    if isinstance(world, int) and world > 1:
        command = f"accelerate launch --num_processes {world} -m tunesmith recipe.yaml {again}"
    else:
        command = f"tunesmith run recipe.yaml {again}"
    steps.append(("Save the recipe below as recipe.yaml and run it into a new directory", command))
    return steps


def _same_code(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The commit it ran at and the versions it ran with, as commands that bring them back."""
    commit, versions = environment.get("git_commit"), _mapping(environment.get("versions"))
    steps = []
    if isinstance(commit, str) and commit:
        steps.append(("At this commit", f"git checkout {shlex.quote(commit)}"))
    pins = [shlex.quote(f"{name}=={found}") for name, found in versions.items() if name != "python"]
    if pins:
        python = f" (Python {versions['python']})" if "python" in versions else ""
        steps.append((f"With these versions{python}", f"pip install {' '.join(pins)}"))
    return steps


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{NAMES.get(str(key), numbers.phrase(str(key)))}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        elif value not in (None, [], ""):
            yield _named(name, str(key), value)


def _named(name: str, key: str, value: Any) -> tuple[str, str]:
    if key.endswith("_bytes"):
        return name.removesuffix(" bytes"), numbers.size(value)
    if key == "seconds" or key.startswith("seconds_") or key.endswith("_seconds"):
        return name, numbers.duration(value)
    if isinstance(value, bool):
        return name, "yes" if value else "no"
    if isinstance(value, list | tuple):
        return name, ", ".join(str(item) for item in value)
    if numbers.is_number(value) and key.endswith("per_second"):
        return name, numbers.number(round(value) if value >= 100 else value)
    if isinstance(value, int) and value >= 10_000:
        return name, numbers.number(value)
    return name, numbers.number(value) if isinstance(value, float) else f"{value}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _continued(result: Mapping[str, Any]) -> str | None:
    """Where the run went on after an interruption, and how exactly."""
    told = []
    for each in result.get("continuations") or ():
        why = "; ".join(map(str, each.get("why") or ()))
        told.append(f"at step {each.get('step')}: {each.get('level')}" + (f" ({why})" if why else ""))
    return ", ".join(told) or None
