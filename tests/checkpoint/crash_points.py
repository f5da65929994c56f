"""Every file operation of some work, in turn, is where its process dies, fails, or the power goes.

``enumerate_points`` forks a child for each operation. In the child the calls of ``os`` and ``open`` that
touch a folder are counted; at the n-th one something happens (see ``ACTIONS``). Nothing in the product knows.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import shutil
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import safetensors.torch

from tunesmith.errors import UserError

ACTIONS = {
    "killed": "dies by SIGKILL before the operation, or half-way through it where it writes",
    "EIO": "the operation fails once; the work is tried again",
    "ENOSPC": "the disk is full from here on, until the work is tried again",
    "power": "dies; content that was not flushed is gone, names stay",
    "power, names too": "dies; content and names that were not flushed are gone",
}
NOT_REACHED, TOLERATED, FAILED, WRONG = 0, 10, 11, 12
_NAMED = ("mkdir", "rmdir", "unlink", "remove", "chmod", "rename", "replace")
_BY_DESCRIPTOR = ("write", "pwrite", "fsync", "fdatasync", "fchmod", "ftruncate")
_TAKES_ROOM = {"open", "write", "pwrite", "mkdir"}
_OPEN = io.open


class Points:
    """Counts the operations below ``root``, and acts at the ``at``-th."""

    def __init__(self, root: Path, at: int, action: str) -> None:
        self.root, self.at, self.action = str(root), at, action
        self.count, self.fired, self.armed = 0, False, True
        self.names: list[str] = []
        self._told = Path(f"{root}.fault")
        self._lock = threading.Lock()
        self._real = {name: getattr(os, name) for name in ("open", *_NAMED, *_BY_DESCRIPTOR)}
        self._flushed = {ino: stamp for _, ino, stamp in self._files()}
        self._unflushed_names: list[tuple[int, Callable[[], None]]] = []

    def install(self) -> None:
        """From here on, in this process."""
        for name in _NAMED:
            setattr(os, name, self._named(name))
        for name in _BY_DESCRIPTOR:
            setattr(os, name, self._by_descriptor(name))
        os.open = self._open
        builtins.open = io.open = self._open_file
        serialize = safetensors.torch.serialize_file

        def serialize_file(data: object, path: str, metadata: object = None) -> None:
            shadow = Path(f"{self.root}.shadow")  # the library writes by itself, unseen
            serialize(data, shadow, metadata=metadata)
            content = shadow.read_bytes()
            shadow.unlink()
            with open(path, "wb") as file:
                file.write(content)

        safetensors.torch.serialize_file = serialize_file

    # --- counting ---------------------------------------------------------------------------------

    def _reach(self, name: str, path: str, half: Callable[[], object] | None = None) -> None:
        if not self.armed or not (path == self.root or path.startswith(self.root + "/")):
            return
        with self._lock:
            self.count += 1
            self.names.append(name)
            here = self.count == self.at
            later = self.fired and self.action == "ENOSPC" and name in _TAKES_ROOM
            if not (here or later):
                return
            if here:
                self._told.write_text(f"{self.action} at {self.count}: {name} {path}")
            self.fired = True
            self._act(half)

    def _act(self, half: Callable[[], object] | None) -> None:
        if half is not None and self.action in ("killed", "ENOSPC"):
            half()
        if self.action in ("EIO", "ENOSPC"):
            number = getattr(errno, self.action)
            raise OSError(number, os.strerror(number))
        self.armed = False
        if self.action.startswith("power"):
            self._cut_power(names=self.action != "power")
        os.kill(os.getpid(), signal.SIGKILL)

    # --- the calls --------------------------------------------------------------------------------

    def _named(self, name: str) -> Callable[..., object]:
        real = self._real[name]

        def call(path, *rest, **keywords):
            at = _absolute(path, keywords.get("dir_fd"))
            self._reach(name, at)
            if name in ("rename", "replace"):
                return self._move(real, at, _absolute(rest[0], None))
            made = real(path, *rest, **keywords)
            if name == "mkdir":
                self._named_now(at, lambda: shutil.rmtree(at, ignore_errors=True))
            return made

        return call

    def _by_descriptor(self, name: str) -> Callable[..., object]:
        real = self._real[name]

        def call(descriptor, *rest):
            data = rest[0] if rest and name in ("write", "pwrite") else None
            half = None if data is None else lambda: real(descriptor, data[: len(data) // 2], *rest[1:])
            self._reach(name, _absolute(descriptor, None), half)
            if name in ("fsync", "fdatasync"):  # noted, not done: a process's death loses nothing
                return self._note_flush(descriptor)
            return real(descriptor, *rest)

        return call

    def _open(self, path, flags, mode=0o777, *, dir_fd=None):
        at = _absolute(path, dir_fd)
        self._reach("open", at)
        new = bool(flags & os.O_CREAT) and not os.path.exists(at)
        descriptor = self._real["open"](path, flags, mode, dir_fd=dir_fd)
        if new:
            self._named_now(at, lambda: os.path.exists(at) and self._real["unlink"](at))
        return descriptor

    def _open_file(self, file, mode="r", *rest, **keywords):
        if not set(mode) & set("wax+"):
            if not isinstance(file, int):
                self._reach("open", _absolute(file, None))
            return _OPEN(file, mode, *rest, **keywords)
        flags = os.O_CREAT | os.O_CLOEXEC | os.O_WRONLY
        flags |= os.O_TRUNC if "w" in mode else os.O_APPEND if "a" in mode else os.O_EXCL
        descriptor = file if isinstance(file, int) else self._open(file, flags, 0o666)
        buffered = io.BufferedWriter(_Seen(descriptor))
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8", newline="")

    # --- what a power cut takes -------------------------------------------------------------------

    def _move(self, real, source: str, target: str) -> object:
        old = Path(target).read_bytes() if os.path.isfile(target) else None
        done = real(source, target)

        def undo() -> None:
            self._real["rename"](target, source)
            if old is not None:
                with _OPEN(target, "wb") as file:
                    file.write(old)
                self._flushed[os.stat(target).st_ino] = _stamp(os.stat(target))

        self._named_now(target, undo)
        return done

    def _named_now(self, path: str, undo: Callable[[], object]) -> None:
        if path.startswith(self.root + "/"):
            self._unflushed_names.append((os.stat(os.path.dirname(path)).st_ino, undo))

    def _note_flush(self, descriptor: int) -> None:
        seen = os.fstat(descriptor)
        self._flushed[seen.st_ino] = _stamp(seen)
        if stat.S_ISDIR(seen.st_mode):
            self._unflushed_names = [one for one in self._unflushed_names if one[0] != seen.st_ino]

    def _cut_power(self, *, names: bool) -> None:
        for _, undo in reversed(self._unflushed_names if names else []):
            undo()
        for path, ino, stamp in list(self._files()):
            flushed = self._flushed.get(ino)
            if flushed != stamp:  # what was appended is gone; else a name is left, without content
                os.truncate(path, flushed[0] if flushed and flushed[0] <= stamp[0] else 0)

    def _files(self) -> Iterator[tuple[str, int, tuple[int, int]]]:
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                yield path, os.stat(path).st_ino, _stamp(os.stat(path))


class _Seen(io.RawIOBase):
    """A file for writing whose writes go through ``os.write``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data) -> int:
        return os.write(self._descriptor, bytes(data))

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


def _stamp(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_size, seen.st_mtime_ns


def _absolute(path, dir_fd: int | None) -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    folder = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd()
    return os.path.join(folder, os.fspath(path))


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked child; its exit status, negative for a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(WRONG)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(root: Path, at: int, action: str, work: Callable[[Path], object]) -> int:
    """Do ``work(root)`` in a child with one fault; how it ended.

    After a failure the work is done again, as a process does that goes on; that must succeed.
    """

    def child() -> None:
        points = Points(root, at, action)
        points.install()
        try:
            work(root)
        except Exception as error:
            if not points.fired:
                raise
            if not isinstance(error, OSError | UserError):
                raise
            points.armed = False
            work(root)
            os._exit(FAILED)
        os._exit(TOLERATED if points.fired else NOT_REACHED)

    return in_child(child)


def enumerate_points(
    before: Path, work: Callable[[Path], object], action: str, folder: Path, sample: int | None = None
) -> Iterator[tuple[str, int, Path]]:
    """For each operation: what was done at it, how the child ended, and the folder that it left.

    Args:
        before: copied for each.
        work: what is done to the copy.
        action: of ``ACTIONS``.
        folder: for the copies.
        sample: about so many of the operations, always the same, one of every name among them; default: all.
    """
    for at in range(1, 2000) if sample is None else _sampled(_names(before, work, folder), sample):
        root = folder / str(at)
        shutil.copytree(before, root)
        ended = die_at(root, at, action, work)
        assert ended != WRONG, f"{action} at operation {at}"
        told = Path(f"{root}.fault")
        yield told.read_text() if told.exists() else "no fault", ended, root
        shutil.rmtree(root, ignore_errors=True)
        if ended == NOT_REACHED:
            return
    raise AssertionError("the work has no end")


def _names(before: Path, work: Callable[[Path], object], folder: Path) -> list[str]:
    """The operations of the work where nothing happens to it, by name."""
    root, told = folder / "counted", folder / "counted.names"
    shutil.copytree(before, root)

    def child() -> None:
        points = Points(root, 0, "EIO")
        points.install()
        work(root)
        points.armed = False
        told.write_text("\n".join(points.names))

    assert in_child(child) == 0
    shutil.rmtree(root)
    return told.read_text().split("\n")


def _sampled(names: list[str], sample: int) -> list[int]:
    """Numbers of operations, and one more at the end, which is not reached."""
    order = random.Random(len(names)).sample(range(1, len(names) + 1), len(names))
    one_each = {names[at - 1]: at for at in reversed(order)}
    return [*sorted({*one_each.values(), *order[:sample]}), len(names) + 1000]
