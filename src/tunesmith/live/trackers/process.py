"""A process beside a run that follows ``metrics.jsonl`` and hands its lines to one tracker.

``python -m tunesmith.live.trackers.process RUN_DIR SETTINGS``, started by the run's first process. Whatever
a tracker
does (it is down, it hangs, it raises, it fills its memory) happens here and not in training. The journal is
the queue: nothing waits in memory, and a tracker that comes back gets everything it missed.

The run's end is the end of standard input, which comes however the run ends. Then there are ``patience``
seconds to hand over what is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import write_json
from tunesmith.checkpoint.plain_file import read_plain
from tunesmith.errors import describe_error
from tunesmith.live.tail import FilePosition, read_new
from tunesmith.live.trackers.open import OpenTracker, open_tracker
from tunesmith.live.trackers.values import settings_of, tracker_values
from tunesmith.redact import redact, redact_deep
from tunesmith.report.run_files import read_facts
from tunesmith.terminal import one_line

LOOK_EVERY = 1.0
_WAITS = (2.0, 5.0, 10.0, 30.0)
"""Seconds before a tracker that failed is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How much a tracker has: kept in ``trackers/NAME.json``, so that nothing is handed over twice.

    Attributes:
        run: what the tool knows the run by.
        settings: whether it has the recipe.
        train: newest step handed over.
        eval: step of the newest evaluation handed over; -1 before the baseline.
    """

    run: str = ""
    settings: bool = False
    train: int = 0
    eval: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Where lines come from and where they go.

    Attributes:
        run_dir: of the run.
        name: of the tool.
        project: project or experiment.
        address: of MLflow's server, if it is not a local file.
        patience: seconds after the run's end in which the tool may still take what is left.
    """

    run_dir: Path
    name: str
    project: str
    address: str | None
    patience: float

    @property
    def path(self) -> Path:
        """Where ``Delivery`` is kept."""
        return self.run_dir / "trackers" / f"{self.name}.json"


class Voice:
    """Says on the terminal what went wrong; only the first time, since one line is enough."""

    def __init__(self, name: str, descriptor: int) -> None:
        self._name, self._descriptor, self._spoke = name, descriptor, False

    def __call__(self, trouble: str) -> None:
        """Say it."""
        if not self._spoke:
            self._spoke = True
            line = one_line(redact(f"tracker `{self._name}`: {' '.join(trouble.split())[:300]}"))
            os.write(self._descriptor, f"{line}; training goes on\n".encode())


def track_run(post: Post, ended: threading.Event, say: Voice) -> None:
    """Hand over lines as they appear, until the run has ended and everything is handed over."""
    opened: OpenTracker | None = None
    place, failures = FilePosition(), 0
    while True:
        last, wait = ended.is_set(), LOOK_EVERY
        try:
            opened = opened or _opened(post)
            place = _hand_over(post, opened, place)
            failures = 0
            if last:
                opened.finish()
        except Exception as problem:  # whatever a tracker raises is its own affair
            say(describe_error(problem))
            place, wait = FilePosition(), _WAITS[min(failures, len(_WAITS) - 1)]
            failures += 1
        if last:
            return
        ended.wait(wait)


def _opened(post: Post) -> OpenTracker:
    return open_tracker(
        post.name,
        post.run_dir,
        project=post.project,
        address=post.address,
        run=delivered_of(post.path).run,
        settings=_settings(post.run_dir),
    )


def _hand_over(post: Post, opened: OpenTracker, place: FilePosition) -> FilePosition:
    """Hand over what is new since ``place``, and write down how far that went, even if it fails midway."""
    before = delivered_of(post.path)
    now = replace(before, run=opened.run)
    news = read_new(post.run_dir / "metrics.jsonl", place)
    try:
        if not now.settings:
            opened.settings(_settings(post.run_dir))
            now = replace(now, settings=True)
        for record in news.records:
            kind, step = record.get("kind"), int(record["step"])
            if kind == "train" and step > now.train:
                opened.log(redact_deep(tracker_values(record)), step)
                now = replace(now, train=step)
            elif kind == "eval" and step > now.eval:
                opened.log(redact_deep(tracker_values(record)), step)
                now = replace(now, eval=step)
    finally:
        if now != before:
            write_json(post.path, asdict(now))
    return news.place


def delivered_of(path: Path) -> Delivery:
    """What was written down; nothing if the file is missing or damaged."""
    try:
        found = json.loads(read_plain(path))
        return Delivery(**{**asdict(Delivery()), **found})
    except (OSError, ValueError, TypeError, RecursionError):
        return Delivery()


def _settings(run_dir: Path) -> Mapping[str, str | float]:
    return dict(redact_deep(settings_of(read_facts(run_dir).recipe)))


def _wait_for_end(ended: threading.Event, say: Voice, patience: float) -> None:
    """Set ``ended`` when standard input ends; and if the tracker then hangs, end this process."""
    while os.read(0, 4096):
        pass
    ended.set()
    threading.Event().wait(patience)
    say(f"it did not take everything within {patience:.0f} s of the run's end")
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Track one run with one tool."""
    settings: dict[str, Any] = json.loads(arguments[1])
    post = Post(run_dir=Path(arguments[0]), **settings)
    say, ended = Voice(post.name, os.dup(2)), threading.Event()
    os.nice(5)  # training goes first
    os.umask(0o077)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # what tools say there is unredacted
        os.dup2(nowhere, descriptor)
    threading.Thread(target=_wait_for_end, args=(ended, say, post.patience), daemon=True).start()
    post.path.parent.mkdir(exist_ok=True)
    with post.path.with_suffix(".lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # that of a run which was killed a moment ago may be under way
        track_run(post, ended, say)
    os._exit(0)  # no tool's own end may take longer


if __name__ == "__main__":
    main(sys.argv[1:])
