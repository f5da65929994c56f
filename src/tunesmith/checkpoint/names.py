"""The names that tunesmith gives in a run directory, told from whatever a user puts there.

Only what bears such a name, and lies where tunesmith puts it, is ever tidied away.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".tmp-"
REPLACED = ".old-"
_TEMPORARY = re.compile(r"(.+)\.tmp-\d+-[0-9a-f]{8}")
_REPLACED = re.compile(r"(.+)\.old-[0-9a-f]{8}")

_FOLDER_OF_A_STEP = r"step-\d{8,}"
_FINISHED = {
    ".": (
        r"model|adapter|looks|plan\.txt|recipe\.yaml|report\.html|(metrics|judge|rows)\.jsonl"
        r"|(baseline_)?(test_)?scores\.jsonl"
        r"|(confusion|data|drawings|environment|preview|result|samples|scores_of|variants)\.json"
    ),
    "checkpoints": _FOLDER_OF_A_STEP,
    "best": _FOLDER_OF_A_STEP,
    "looks": rf"{_FOLDER_OF_A_STEP}|scored-\d{{8,}}|scorer\.json|test_scores\.jsonl",
    "heartbeats": r"\d+\.json",
    "requests": r"save|stop",
    "slurm": r"job\.json|[\w.-]+\.sbatch|starts\.jsonl",
    "trackers": r"[a-z]+\.json",
}
"""What is written beside its place and then moved there, by folder of the run directory."""


def temporary_path(path: Path) -> Path:
    """A fresh temporary name next to ``path``, so that moving it there stays within one file system."""
    return path.with_name(f"{path.name}{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}")


def replaced_path(path: Path) -> Path:
    """A fresh name next to ``path``, for what stands there while it is being replaced."""
    return path.with_name(f"{path.name}{REPLACED}{secrets.token_hex(4)}")


def is_temporary(path: Path) -> bool:
    """Whether a name is one that ``temporary_path`` gives."""
    return _TEMPORARY.fullmatch(path.name) is not None


def original_path(path: Path) -> Path | None:
    """Where something that bears a name of ``replaced_path`` stood; ``None`` if it bears no such name."""
    found = _REPLACED.fullmatch(path.name)
    return path.with_name(found[1]) if found else None


def under_way(run_dir: Path) -> Iterator[Path]:
    """Everything in a run directory that tunesmith has not finished, and nothing of anybody else's."""
    for folder, pattern in _FINISHED.items():
        place = run_dir / folder
        if not place.is_dir() or place.is_symlink():
            continue
        for path in sorted(place.iterdir()):
            final = _final_name(path.name)
            if final != path.name and re.fullmatch(pattern, final):
                yield path


def _final_name(name: str) -> str:
    """Without what was added while it was written, replaced or removed."""
    while found := _TEMPORARY.fullmatch(name) or _REPLACED.fullmatch(name):
        name = found[1]
    return name
