"""What a finished folder holds, hashed: a checkpoint is whole, or it is not used.

The manifest proves that bytes are those that were written. It does not prove who wrote them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from tunesmith.checkpoint.atomic import finite, remove_folder, write_text
from tunesmith.checkpoint.names import is_temporary

MANIFEST = "manifest.json"
_STEP_NAME = re.compile(r"step-(\d{8,})")


def checkpoint_name(step: int) -> str:
    """Folder name of a step's checkpoint, ``step-00000120``: names sort as steps do."""
    return f"step-{step:08d}"


def checkpoint_step(folder: Path) -> int | None:
    """The step in a checkpoint's folder name, ``None`` if it is no such name."""
    match = _STEP_NAME.fullmatch(folder.name)
    return int(match[1]) if match else None


def write_manifest(folder: Path, extra: Mapping[str, Any] | None = None) -> None:
    """Write ``manifest.json``: size and SHA-256 of every file in the folder, and of the manifest itself.

    Args:
        folder: its files are all closed; call this last, before ``publish_folder``.
        extra: further keys, such as the step or the recipe's hash; values that JSON can hold.
    """
    paths = sorted(_files(folder))
    content: dict[str, Any] = dict(finite(dict(extra or {})))
    assert not content.keys() & {"files", "sha256"}, "`files` and `sha256` are the manifest's own keys"
    content["files"] = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": digest}
        for path, digest in zip(paths, _digests(paths), strict=True)
    }
    content = json.loads(json.dumps(content, allow_nan=False))  # hash what a reader will see
    content["sha256"] = _self_digest(content)
    write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder.

    Raises:
        ValueError: if it is missing, damaged, or names a file outside the folder.
    """
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        digest = content.pop("sha256")
        files = {
            str(name): {"size": int(entry["size"]), "sha256": str(entry["sha256"])}
            for name, entry in content["files"].items()
        }
    except FileNotFoundError:
        raise ValueError(f"{MANIFEST} is missing: it was never finished") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as problem:
        raise ValueError(f"{MANIFEST} cannot be read: {problem}") from problem
    if digest != _self_digest(content):
        raise ValueError(f"{MANIFEST} is damaged: its own hash differs")
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise ValueError(f"{MANIFEST} names a file outside the folder: {name}")
    return {**content, "files": files}


def verify(folder: Path) -> list[str]:
    """Everything that is wrong with a finished folder; empty if it is whole.

    Each file named in the manifest must be there with its size and SHA-256. Files that the manifest
    does not name are nobody's business.
    """
    return _problems(folder, hashes=True)


def _problems(folder: Path, *, hashes: bool) -> list[str]:
    try:
        files = read_manifest(folder)["files"]
    except ValueError as problem:
        return [str(problem)]
    problems, sound = [], []
    for name, entry in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != entry["size"]:
            problems.append(f"{name} has {path.stat().st_size:,} bytes instead of {entry['size']:,}")
        else:
            sound.append(name)
    if problems or not hashes:  # a wrong size is enough; no need to read gigabytes
        return problems
    try:
        digests = _digests([folder / name for name in sound])
    except OSError as problem:
        return [f"{problem.filename or folder} cannot be read: {problem.strerror}"]
    pairs = zip(sound, digests, strict=True)
    return [
        f"{name} is damaged: its hash differs" for name, digest in pairs if digest != files[name]["sha256"]
    ]


def checkpoints(checkpoints_dir: Path) -> list[Path]:
    """Folders named ``step-…`` there, newest first, whole or not."""
    if not checkpoints_dir.is_dir():
        return []
    folders = [
        path for path in checkpoints_dir.iterdir() if checkpoint_step(path) is not None and path.is_dir()
    ]
    return sorted(folders, key=lambda path: (checkpoint_step(path) or 0, path.name), reverse=True)


def newest_valid(checkpoints_dir: Path, *, before: int | None = None) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint, and what is wrong with each newer one that was passed over.

    With ``before``, only those of earlier steps count.

    If the path is ``None`` but the list is not empty, there was a run here and all of it is damaged:
    that is no reason to start over silently.
    """
    skipped: list[str] = []
    for folder in checkpoints(checkpoints_dir):
        if before is not None and (checkpoint_step(folder) or 0) >= before:
            continue
        problems = verify(folder)
        if not problems:
            return folder, skipped
        skipped += [f"{folder.name}: {problem}" for problem in problems]
    return None, skipped


def prunable(
    checkpoints_dir: Path, keep: int, protected: frozenset[str] | set[str] = frozenset()
) -> list[Path]:
    """Which checkpoints may go, oldest last: all but the protected and the newest ``keep`` sound ones.

    Sound means a good manifest and right sizes; hashes are checked until one that stays is found
    whole. If none that stays is whole, the newest whole one of the others stays too. The newest of
    all stays even if it looks damaged: a disk that failed to read for a moment must not cost it.
    """
    assert keep > 0, "at least one checkpoint is kept"
    folders = checkpoints(checkpoints_dir)
    sound = [folder for folder in folders if not _problems(folder, hashes=False)]
    staying = {folder for folder in folders if folder.name in protected} | set(sound[:keep] + folders[:1])
    going = [folder for folder in folders if folder not in staying]
    if not going or any(not verify(folder) for folder in folders if folder in staying):
        return going
    last_whole = next((folder for folder in going if not verify(folder)), None)
    return [folder for folder in going if folder != last_whole] if last_whole else []


def prune(checkpoints_dir: Path, keep: int, protected: frozenset[str] | set[str] = frozenset()) -> list[Path]:
    """Remove old checkpoints; never the last whole one.

    Args:
        checkpoints_dir: the run's ``checkpoints`` folder.
        keep: how many of the newest sound ones stay, protected ones not counted apart.
        protected: folder names that stay whatever their age, e.g. that of the best weights.

    Returns:
        What was removed. If nothing whole exists, nothing is removed, for it may be evidence.
    """
    going = prunable(checkpoints_dir, keep, protected)
    for folder in going:
        remove_folder(folder)
    return going


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path != folder / MANIFEST and not is_temporary(path):
                yield path


def _digests(paths: list[Path]) -> list[str]:
    """SHA-256 of each file; hashing frees the interpreter's lock, so threads help with many shards."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as threads:
        return list(threads.map(_digest, paths))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _self_digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
