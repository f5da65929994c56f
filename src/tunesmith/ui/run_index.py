"""The runs below a folder, found again and again; only what changed is read again."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.names import REPLACED, TEMPORARY
from tunesmith.errors import describe_error
from tunesmith.report.run_files import TRACES
from tunesmith.ui.summary import Journal, Summary, summary_of_run, unreadable

WATCHED = (*TRACES, "owner.lock")
RESULT, PARENT = WATCHED.index("result.json"), WATCHED.index("variants.json")
SKIPPED = ("checkpoints", "model", "adapter", "best")
MOST_FOLDERS, DEEPEST = 20_000, 8
SHORTEST_PAUSE = 0.4
"""Seconds within which a second look is answered from the first."""

AGAIN = 5.0
"""Seconds after which a run whose files stand still is looked at again: it may have died."""

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run as it was last read: id, state of its files, its line and the revision of that, journal, when."""

    key: str
    stamp: Stamp
    summary: Summary
    revision: int
    journal: Journal
    at: float

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return bool(self.summary["phase"] == "ended")


class RunIndex:
    """All runs below ``root``, by an id that says nothing of their path.

    Links to folders are not followed, so that nothing outside of ``root`` is ever read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole = True
        self._lock = threading.Lock()
        self._kept: dict[str, KeptRun] = {}  # by path
        self._paths: dict[str, str] = {}  # by id
        self._gone: dict[str, int] = {}
        self._revision = 0
        self._looked = -SHORTEST_PAUSE

    def changes(self, after: int) -> dict[str, Any]:
        """Runs that are new or changed after a revision, and the ids of those that are gone."""
        with self._lock:
            self._look()
            runs = [{"id": kept.key, **kept.summary} for kept in self._kept.values() if kept.revision > after]
            gone = [key for key, revision in self._gone.items() if revision > after] if after else []
            return {"revision": self._revision, "runs": runs, "gone": gone, "whole": self.whole}

    def find(self, key: str) -> Path | None:
        """The folder of a run, ``None`` if there is no such run. Waits for nobody who is looking."""
        path = self._paths.get(key)
        # A folder may have become a link since it was found.
        return Path(path) if path is not None and os.path.realpath(path) == path else None

    def below(self, run_dir: Path, inner: str) -> Path | None:
        """The folder of a run inside another one, such as a variant, by its path there."""
        path = f"{run_dir}/{inner}"
        return Path(path) if path in self._kept and os.path.realpath(path) == path else None

    def _look(self) -> None:
        if time.monotonic() - self._looked < SHORTEST_PAUSE:
            return
        ended = {path: kept.stamp for path, kept in self._kept.items() if kept.ended}
        found, self.whole = scan_runs(os.fspath(self.root), ended)
        for path, stamp in found:
            self._update(path, stamp)
        for path in self._kept.keys() - {path for path, _ in found}:
            key = self._kept.pop(path).key
            del self._paths[key]
            self._revision += 1
            self._gone[key] = self._revision
        self._looked = time.monotonic()

    def _update(self, path: str, stamp: Stamp) -> None:
        before, now = self._kept.get(path), time.monotonic()
        still = before is not None and before.stamp == stamp and not before.journal.more
        if before and still and (before.ended or now - before.at < AGAIN):
            return
        key = before.key if before else id_of(path, self.root)
        name = name_of(path, self.root)
        try:
            if not any(stamp):
                os.listdir(path)  # which says why nothing of it can be seen
            summary, journal = summary_of_run(Path(path), name, before.journal if before else Journal())
        except Exception as error:  # one strange folder must not hide the others
            summary, journal = unreadable(name, describe_error(error)), Journal()
        summary["changed"] = _newest(stamp)
        revision = before.revision if before and before.summary == summary else self._revision + 1
        self._revision = max(revision, self._revision)
        self._gone.pop(key, None)
        self._kept[path] = KeptRun(key, stamp, summary, revision, journal, now)
        self._paths[key] = path


def id_of(path: str, root: Path) -> str:
    """A short name for a run that holds nothing but hexadecimal digits."""
    return hashlib.sha256(os.fsencode(os.path.relpath(path, root))).hexdigest()[:16]


def name_of(path: str, root: Path) -> str:
    """The path below the folder, as text that can be shown."""
    relative = os.path.relpath(path, root)
    shown = root.name if relative == "." else relative
    return shown.encode("utf-8", "replace").decode("utf-8")


def scan_runs(root: str, ended: Mapping[str, Stamp]) -> tuple[list[tuple[str, Stamp]], bool]:
    """Run directories below a folder, the state of their files, and whether every folder was looked at.

    Of the runs in ``ended`` only the result is looked at, as long as it stays the same.
    """
    found: list[tuple[str, Stamp]] = []
    waiting, seen = [(root, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        seen += 1
        if seen > MOST_FOLDERS:
            return found, False
        stamp = ended.get(folder, ())
        if not stamp or stamp[RESULT] is None or stamp[RESULT] != _state(f"{folder}/result.json"):
            stamp = tuple(_state(f"{folder}/{name}") for name in WATCHED)
        if any(stamp[: len(TRACES)]):
            found.append((folder, stamp))
            if stamp[PARENT] is None:
                continue
        if depth < DEEPEST:
            children = _children(folder)
            if children is None and not any(stamp):
                found.append((folder, stamp))
            waiting += [(child, depth + 1) for child in children or ()]
    return found, True


def _children(folder: str) -> list[str] | None:
    """The folders in a folder; None where it is there and may not be looked into."""
    try:
        with os.scandir(folder) as entries:
            return [e.path for e in entries if _is_open(e.name) and e.is_dir(follow_symlinks=False)]
    except PermissionError:
        return None
    except OSError:
        return []


def _is_open(name: str) -> bool:
    return not name.startswith(".") and name not in SKIPPED and TEMPORARY not in name and REPLACED not in name


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _newest(stamp: Stamp) -> float:
    """When the files last changed, in seconds since the epoch."""
    return max((state[2] for state in stamp if state), default=0) / 1e9
