"""Folders that all processes fill together, written in the background while training goes on.

Each process has one thread, which writes what it was handed, in that order. Nothing collective happens in it,
since that would mix with training's own: a process leaves a mark in the folder when its share is on the
disk, and the first process, seeing all marks, adds the manifest and gives the folder its name. So a folder
appears whole or not at all, whoever dies at whatever moment.

What cannot be written is tried again and again, until it can or something newer takes its place.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import make_folder, publish_folder, remove_folder, write_json, writing
from tunesmith.checkpoint.manifest import write_manifest
from tunesmith.errors import UserError
from tunesmith.fault import fault

PAUSES = (0.2, 1.0, 5.0, 30.0)
"""Seconds before the next attempt; the last one again and again."""
PATIENCE = 600.0
"""Seconds that the first process waits for a share, once its own is written, before it counts as failed."""
LAST_TRIES = 3
LOOK = 0.02
MARK = "share-{rank}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveJob:
    """One folder to be written.

    Attributes:
        kind: ``checkpoint`` or ``best``; of each at most one is under way, which bounds the memory.
        final: its name when it is whole; one that stands there is replaced.
        folder: a temporary one beside it, whose name all processes agreed on.
        write: this process's share, into the folder it is given; may be called again.
        about: further entries of the manifest.
        make_room: what the first process does before another attempt.
        after: what it does when the folder has its name.
    """

    kind: str
    final: Path
    folder: Path
    write: Callable[[Path], None]
    about: Mapping[str, Any]
    make_room: Callable[[], object]
    after: Callable[[], object]


@dataclass(slots=True, eq=False)
class _Pending:
    """A job under way, as the two threads of a process see it."""

    done: threading.Event = field(default_factory=threading.Event)
    give_up: threading.Event = field(default_factory=threading.Event)
    failures: int = 0
    trouble: UserError | None = None


class Saver:
    """Carries out jobs in a thread of its own.

    Args:
        rank: of this process.
        processes: how many fill each folder.
        check: called before anything is published; raises if the run directory is no longer ours.
        tell: takes a line for the user.
        background: whether ``submit`` returns before the folder is written.
    """

    def __init__(
        self,
        *,
        rank: int,
        processes: int,
        check: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = print,
        background: bool = True,
    ) -> None:
        self._rank, self._processes = rank, processes
        self._check, self._tell, self._background = check, tell, background
        self._jobs: queue.SimpleQueue[tuple[SaveJob, _Pending]] = queue.SimpleQueue()
        self._under_way: dict[str, _Pending] = {}
        self._fatal: BaseException | None = None
        self._thread: threading.Thread | None = None

    def submit(self, job: SaveJob) -> None:
        """Hand a job over. An earlier one of its kind is waited for, or, if it fails, given up.

        Raises:
            UserError: if the run directory has been taken over.
        """
        self._clear(job.kind, tries=1)
        pending = self._under_way[job.kind] = _Pending()
        if not self._background:
            self._carry_out(job, pending, tries=LAST_TRIES)
            self._raise_fatal()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="saver", daemon=True)
            self._thread.start()
        self._jobs.put((job, pending))

    def wait(self) -> UserError | None:
        """Wait until this process's part in everything is done.

        Returns:
            Why something could not be written, also after a few more attempts; None if all is.

        Raises:
            UserError: if the run directory has been taken over.
        """
        troubles = [self._clear(kind, tries=LAST_TRIES) for kind in list(self._under_way)]
        return next((trouble for trouble in troubles if trouble is not None), None)

    def _clear(self, kind: str, *, tries: int) -> UserError | None:
        pending = self._under_way.pop(kind, None)
        if pending is None:
            return None
        while not pending.done.wait(LOOK):
            if pending.failures >= tries:
                pending.give_up.set()
        self._raise_fatal()
        return pending.trouble

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _work(self) -> None:
        while True:
            job, pending = self._jobs.get()
            self._carry_out(job, pending)
            del job, pending  # and with them the copy of the state, before the next one is waited for

    def _carry_out(self, job: SaveJob, pending: _Pending, tries: int | None = None) -> None:
        try:
            while self._fatal is None and not self._attempt(job, pending):
                pause = PAUSES[min(pending.failures, len(PAUSES)) - 1]
                if pending.failures == tries or pending.give_up.wait(pause):
                    self._abandon(job)
                    break
        except BaseException as error:  # raised again in the thread that trains
            self._fatal = error
        finally:
            pending.done.set()

    def _attempt(self, job: SaveJob, pending: _Pending) -> bool:
        try:
            write_share(job, self._rank)
            if self._rank == 0:
                gather_shares(job, self._processes, give_up=pending.give_up)
                publish(job, self._check)
        except UserError as error:
            self._check()
            if self._rank == 0:
                if pending.trouble is None:
                    self._tell(f"{job.kind} {job.final.name}: {error.what}; it is tried again")
                with suppress(OSError):
                    job.make_room()
            pending.trouble = error
            pending.failures += 1
            return False
        if pending.trouble is not None and self._rank == 0:
            self._tell(f"{job.kind} {job.final.name}: written at last")
        pending.trouble = None
        if self._rank == 0:
            self._tidy(job)
        return True

    def _tidy(self, job: SaveJob) -> None:
        """What was saved is saved, whether or not older ones can be removed."""
        try:
            job.after()
        except Exception as error:  # to tidy is not worth a run
            self._tell(f"older than {job.final.name}, and not removed: {error}")

    def _abandon(self, job: SaveJob) -> None:
        if self._rank == 0:
            with suppress(OSError):  # whoever owns the run next clears it away
                remove_folder(job.folder)


def write_share(job: SaveJob, rank: int) -> None:
    """Write one process's share and leave a mark.

    Raises:
        UserError: if it cannot be written; the mark says so to the first process.
    """
    mark = job.folder / MARK.format(rank=rank)
    try:
        make_folder(job.folder)
        with writing(job.final):
            job.write(job.folder)
        write_json(mark, None)
    except UserError as error:
        _leave(mark, {"what": error.what, "where": error.where, "hint": error.hint})
        raise
    except Exception as error:
        if job.folder.is_dir():
            raise
        what = "the first process gave it up while this one was writing"
        raise UserError(what, str(job.final), "nothing needs to be done: it is tried again") from error


def gather_shares(job: SaveJob, processes: int, *, give_up: threading.Event) -> None:
    """Wait for all marks, and take them away.

    Raises:
        UserError: if a share could not be written, or did not come in time.
    """
    deadline = time.monotonic() + PATIENCE
    for rank in range(processes):
        mark = job.folder / MARK.format(rank=rank)
        while not mark.exists():
            if time.monotonic() > deadline or give_up.is_set():
                raise UserError(
                    f"process {rank} has not written its share",
                    str(job.final),
                    "see whether it still runs, and whether its machine sees this folder",
                )
            time.sleep(LOOK)
        said = json.loads(mark.read_text(encoding="utf-8"))
        if said is not None:
            raise UserError(f"process {rank}: {said['what']}", said["where"], said["hint"])
    for rank in range(processes):
        (job.folder / MARK.format(rank=rank)).unlink()


def publish(job: SaveJob, check: Callable[[], None]) -> None:
    """Add the manifest and give the folder its name.

    Raises:
        UserError: if it cannot be written, or ``check`` says that the run directory is no longer ours.
    """
    with writing(job.final):
        write_manifest(job.folder, job.about)
        fault("save-publish")
        publish_folder(job.folder, job.final, replace=True, check=check)


def _leave(mark: Path, said: Mapping[str, str]) -> None:
    with suppress(UserError, FileNotFoundError):  # the disk is full for this, too, or it was given up
        write_json(mark, said)
