"""A thread in each process that sees whether the run goes on, and ends it with a name where it does not.

Each process writes what it is doing into a small file of the run directory, about once a second, and reads
those of the others. So a signal to one process reaches all; and where nobody made progress for as long as
the recipe's ``run.deadline``, or one process has not been heard of for so long, the run ends: stacks are
written, the silent process is named, and what still runs of it is killed.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import make_folder, write_json
from tunesmith.checkpoint.lock import LOCK_FILE
from tunesmith.checkpoint.names import is_temporary, temporary_path
from tunesmith.errors import Exit, UserError
from tunesmith.redact import redact
from tunesmith.terminal import printable
from tunesmith.train.supervise.heartbeat import Pulse
from tunesmith.world.environment import World
from tunesmith.world.exit_status import leave_outcome
from tunesmith.world.signals import NOTICE

FOLDER = "heartbeats"
_HEARTBEAT = re.compile(r"\d+\.json|stacks-\d+\.txt")
INTERVAL = 0.5
"""Seconds between two looks."""
LEFT_EARLY = "stopped by a signal; run the same command to go on"
LAST_WORDS = 5.0
"""Seconds for the others to write their stacks."""


@dataclass(slots=True)
class Peer:
    """A process as this one sees it; times are this one's clock.

    Attributes:
        said: the newest heartbeat.
        heard: when it came.
        moved: when it last told of progress.
    """

    said: dict[str, Any]
    heard: float
    moved: float

    def hears(self, said: dict[str, Any], now: float) -> None:
        """Take a heartbeat, which may be an old one."""
        if said["count"] != self.said.get("count"):
            self.heard = now
        if said["beats"] != self.said.get("beats"):
            self.moved = now
        self.said = said


@dataclass(slots=True)
class Watch:
    """See the module.

    Attributes:
        pulse: of this process.
        world: its place.
        run_dir: where heartbeats lie.
        deadline: seconds without progress.
        still_ours: raises if the run directory is another's.
    """

    pulse: Pulse
    world: World
    run_dir: Path
    deadline: float
    still_ours: Callable[[], None]
    peers: dict[int, Peer] = field(default_factory=dict)
    count: int = 0
    asked_at: float | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look again and again, until ``over`` is set."""
        before = time.monotonic()
        while not self.over.wait(min(INTERVAL, self.deadline / 4)):
            now = time.monotonic()
            if now - before > max(self.deadline / 2, 5 * INTERVAL):
                self.peers.clear()  # we were stopped ourselves: that says nothing of the others
            before = now
            with suppress(OSError, ValueError, UserError):
                self.exchange(now)
            self.leave_if_nobody_notices(now)
            if (trouble := self.trouble(now)) is not None:
                self.end(trouble)

    def exchange(self, now: float) -> None:
        """Write this process's heartbeat and read the others'."""
        self.count += 1
        self.peers.setdefault(self.world.rank, Peer({}, now, now)).hears(self.tell(), now)
        for rank in set(range(self.world.world_size)) - {self.world.rank}:
            said = _read(self.run_dir / FOLDER / f"{rank}.json")
            self.peers.setdefault(rank, Peer({}, now, now)).hears(said, now)
            self.pulse.flag.told = self.pulse.flag.told or bool(said["asked"])

    def tell(self, *, ended: bool = False) -> dict[str, Any]:
        """Write this process's heartbeat."""
        pulse = self.pulse
        mine = {
            "count": self.count,
            "beats": pulse.beats,
            "phase": pulse.phase,
            "step": pulse.step,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "asked": bool(pulse.flag.signal),
            "ended": ended,
        }
        if self.world.world_size == 1:
            return mine
        path = self.run_dir / FOLDER / f"{self.world.rank}.json"
        temporary = temporary_path(path)
        temporary.write_text(json.dumps(mine), encoding="utf-8")
        temporary.replace(path)
        return mine

    def tell_now(self) -> None:
        """Write a heartbeat out of turn, if it can be written."""
        with suppress(OSError):
            self.tell()

    def leave_if_nobody_notices(self, now: float) -> None:
        """Before training, where there is nothing to lose, leave without waiting for a library to return."""
        if self.pulse.begun or not self.pulse.flag.asked:
            self.asked_at = None
            return
        self.asked_at = self.asked_at or now
        if now - self.asked_at > NOTICE:
            self.conclude(preempted_early())
            leave_at_once(self.world)

    def trouble(self, now: float) -> str | None:
        """Why the run cannot go on, if so."""
        going = {rank: peer for rank, peer in self.peers.items() if not peer.said.get("ended")}
        silent = [rank for rank, peer in going.items() if now - peer.heard > self.deadline]
        stuck = bool(going) and all(now - peer.moved > self.deadline for peer in going.values())
        if not silent and not stuck:
            return None
        first = silent or [min(going, key=lambda rank: going[rank].moved)]
        what = "not heard of" if silent else "no progress, nor in any other process"
        named = ", ".join(f"process {rank} ({_place(going[rank])})" for rank in first)
        return f"{named}: {what} for {self.deadline:g} s (`run.deadline`)\n" + "\n".join(
            f"  process {rank}: {_place(peer)}, heard {now - peer.heard:.0f} s ago, "
            f"progress {now - peer.moved:.0f} s ago{_state(peer)}"
            for rank, peer in sorted(going.items())
        )

    def end(self, trouble: str) -> None:
        """Say what is wrong with all stacks, end what hangs, and this process with status 1."""
        threading.Timer(4 * LAST_WORDS, os._exit, [Exit.FAULT]).start()
        silent = {r for r, p in self.peers.items() if time.monotonic() - p.heard > self.deadline}
        with suppress(OSError, ValueError):  # nobody may be there to read it
            said = f"the run hangs: {trouble}\nstacks of process {self.world.rank}:"
            print(printable(redact(said)), file=sys.__stderr__)
            faulthandler.dump_traceback(sys.__stderr__ or 2, all_threads=True)
        stacks = self.run_dir / FOLDER / f"stacks-{self.world.rank}.txt"
        with suppress(OSError), stacks.open("w", encoding="utf-8") as file:
            faulthandler.dump_traceback(file, all_threads=True)
        time.sleep(min(LAST_WORDS, self.deadline))
        if self.world.rank == min(set(range(self.world.world_size)) - silent):
            self.conclude({"status": "failed", "error": f"the run hangs: {trouble}"})
        for rank in silent:
            _kill(self.peers[rank])
        leave_outcome(os.environ, Exit.FAULT, trouble)
        _quit(Exit.FAULT)

    def conclude(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``, if the run is still ours."""
        with suppress(UserError, OSError):
            self.still_ours()
            if self.world.is_main or result["status"] == "failed":
                write_json(self.run_dir / "result.json", result)


@contextmanager
def watching(
    pulse: Pulse, world: World, run_dir: Path, deadline: float, still_ours: Callable[[], None]
) -> Iterator[None]:
    """Watch the run during the block.

    Args:
        pulse: of this process.
        world: its place among the others, all of whom do the same.
        run_dir: ours.
        deadline: seconds without progress after which the run ends.
        still_ours: raises if the directory is another's; known to the first process.
    """
    make_folder(run_dir / FOLDER)
    seen = (run_dir / LOCK_FILE).stat().st_ino

    def ours() -> None:
        still_ours()
        if (run_dir / LOCK_FILE).stat().st_ino != seen:
            raise UserError("the run directory has been taken over", str(run_dir))

    watch = Watch(pulse, world, run_dir, deadline, ours)
    thread = threading.Thread(target=watch.run, name="watch", daemon=True)
    thread.start()
    pulse.tell = watch.tell_now
    try:
        yield
    finally:
        watch.over.set()
        thread.join(2.0)
        with suppress(OSError, ValueError, UserError):
            watch.tell(ended=True)
        with suppress(UserError, OSError):
            if world.is_main:
                ours()
                clear_heartbeats(run_dir)


def leave_at_once(world: World) -> None:
    """End this process, which was asked to leave and loses nothing, whatever its main thread waits for."""
    if world.is_main:
        with suppress(OSError, ValueError):
            print(LEFT_EARLY)
    _quit(leave_outcome(os.environ, Exit.PREEMPTED))


def clear_heartbeats(run_dir: Path) -> None:
    """Remove what an earlier run said of itself, or this one at its end."""
    folder = run_dir / FOLDER
    with suppress(OSError):
        for path in folder.iterdir():
            if is_temporary(path) or _HEARTBEAT.fullmatch(path.name):
                path.unlink()
        folder.rmdir()


def preempted_early() -> dict[str, Any]:
    """``result.json`` of a run that was asked to leave before it had anything new to save."""
    reason = "the run was asked to leave; the same command goes on with it"
    return {"status": "preempted", "stop": {"rule": "signal", "reason": reason}, "model": None}


def _quit(status: int) -> None:
    """End the process, whatever its main thread does."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _read(path: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        said = {"count": None, "beats": None, "asked": False}
    return said


def _place(peer: Peer) -> str:
    said = peer.said
    if said.get("pid") is None:
        return "never heard of"
    return f"pid {said['pid']} on {said['host']}, in `{said['phase']}`, step {said['step']} when it last told"


def _here(peer: Peer) -> bool:
    return peer.said.get("pid") is not None and peer.said["host"] == socket.gethostname()


def _state(peer: Peer) -> str:
    """What the system says of a process on this machine, e.g. that it is stopped."""
    with suppress(OSError, IndexError):
        if _here(peer):
            status = Path(f"/proc/{peer.said['pid']}/status").read_text(encoding="utf-8")
            return (
                ", " + next(line for line in status.split("\n") if line.startswith("State:")).split("\t")[1]
            )
    return ""


def _kill(peer: Peer) -> None:
    if _here(peer) and peer.said["pid"] != os.getpid():
        with suppress(OSError):
            os.kill(peer.said["pid"], signal.SIGKILL)
