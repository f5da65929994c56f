"""Started by ``sandbox.py`` as a program of its own: runs another one, confined, and leaves nothing of it.

Arguments: what to run in this folder and its own arguments, behind seconds, MiB of memory, bytes of a file
and how it is confined: the sum of 1 (namespaces), 2 (Landlock), 4 (root becomes a user of its own: the system
counts no processes of root). Only the standard library is used.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

MOST_PROCESSES = 32
DISK = 16 << 20
"""Bytes of all files together."""
APART, HIDDEN, OTHER_USER = 1, 2, 4
_SECOND_LOOK = 0.02
_NEW_USER, _NEW_NS, _NEW_PID, _NEW_NET, _NEW_IPC = 0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "namespace")]


class _Rules(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def main(arguments: list[str]) -> int:
    """Run the program and give its exit status; 98 where it took more than it may."""
    seconds, memory, most = float(arguments[0]), int(arguments[1]) << 20, int(arguments[2])
    command, how = arguments[4:], int(arguments[3])
    _LIBC.prctl(36, 1, 0, 0, 0)  # what loses its parent becomes our child, and is found
    if how & APART and not _unshare(alone=not how & OTHER_USER):
        return 99
    user = 1_000_000_000 + os.getpid() if how & OTHER_USER else os.getuid()
    child = os.fork()
    if child == 0:
        _become(command, round(max(1.0, seconds)), memory, most, how, user)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)  # to get its turn among many; root may
    except OSError:
        pass
    return _watch(child, time.monotonic() + seconds, memory)


def _unshare(*, alone: bool) -> bool:
    """A mount's, a network's and a memory's namespace of our own, and a process tree's below.

    With ``alone`` a user's too, which gives an ordinary user the right to the others.
    """
    user, group = os.getuid(), os.getgid()
    if _LIBC.unshare(_NEW_NS | _NEW_PID | _NEW_NET | _NEW_IPC | (_NEW_USER if alone else 0)) != 0:
        return False
    try:
        if not alone:
            return _read_only()
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path("/proc/self", name).write_text(text, encoding="utf-8")
    except OSError:
        return False
    return _read_only()


def _read_only() -> bool:
    """Make every disk read-only, as seen from here."""
    private, read_only = 0x4000 | 0x40000, _MountAttributes(1 | 2, 0, 0, 0)  # and without set-user-id
    if _LIBC.mount(b"none", b"/", None, private, None) != 0:
        return False
    return bool(_LIBC.syscall(442, -100, b"/", 0x8000, ctypes.byref(read_only), 32) == 0)


def _become(command: list[str], seconds: int, memory: int, most: int, how: int, user: int) -> None:
    """Turn this process into the program."""
    folder = os.getcwd()
    counted_apart = how & OTHER_USER or (how & APART and _release() >= (5, 14))
    others = 0 if counted_apart else _tasks_of(os.getuid())
    if how & APART:  # a disk of its own: it cannot be filled, and it goes away
        files = {path.name: path.read_bytes() for path in Path().iterdir()}
        owner = f",uid={user},gid={user}" if how & OTHER_USER else ""
        size = f"size={DISK},nr_inodes=1024,mode=0700{owner}".encode()
        if _LIBC.mount(b"none", os.fsencode(folder), b"tmpfs", 2 | 4, size) != 0:
            os._exit(99)
        os.chdir(folder)
        for name, content in files.items():
            Path(name).write_bytes(content)
    if how & OTHER_USER:
        os.chown(folder, user, user)
        _give_up_root(user)
    _LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)
    _LIBC.prctl(38, 1, 0, 0, 0)  # no new privileges
    if how & HIDDEN and not _hide_files(folder):
        os._exit(99)
    limits = {"CPU": seconds, "AS": memory, "FSIZE": most, "NOFILE": 64, "CORE": 0}
    if os.getuid():
        limits["NPROC"] = MOST_PROCESSES + others
    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    os.execv(sys.executable, [sys.executable, "-I", "-B", *command])


def _give_up_root(user: int) -> None:
    """Become a user without rights, but for that of reading: Python may lie where only root may look."""
    _LIBC.prctl(8, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    read = 1 << 2
    header, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(read, read, read, 0, 0, 0)
    _LIBC.capset(header, rights)
    _LIBC.prctl(47, 2, 2, 0, 0)


def _tasks_of(user: int) -> int:
    """How many processes and threads a user has."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            count += len(os.listdir(f"/proc/{name}/task")) if os.stat(f"/proc/{name}").st_uid == user else 0
        except OSError:
            pass
    return count


def _release() -> tuple[int, ...]:
    """The kernel's version, as far as it is made of numbers."""
    words = os.uname().release.split("-")[0].split(".")
    return tuple(int(word) for word in words if word.isdecimal())


def _hide_files(folder: str) -> bool:
    """Let it read what Python is made of, and write into its folder, by Landlock.

    Data, references and other programs' files are not to be read.
    """
    version = _LIBC.syscall(444, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    everything = (1 << 13) - 1 | (0 if version < 2 else 1 << 13) | (0 if version < 3 else 1 << 14)
    read = 1 | 1 << 2 | 1 << 3  # run, read a file, list a folder
    rules = _Rules(everything)
    ruleset = _LIBC.syscall(444, ctypes.byref(rules), ctypes.c_size_t(8), 0)
    homes = [
        os.path.dirname(os.path.dirname(path)) for path in (sys.executable, os.path.realpath(sys.executable))
    ]
    known = ["/usr", "/lib", "/lib64", "/bin", "/etc", "/opt", sys.base_prefix, *homes]
    for path, allowed in [*((path, read) for path in known), ("/dev", read | 2), (folder, everything)]:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rule = _Beneath(allowed, opened)
        _LIBC.syscall(445, ruleset, 1, ctypes.byref(rule), 0)
        os.close(opened)
    done = _LIBC.syscall(446, ruleset, 0) == 0
    os.close(ruleset)
    return bool(done)


def _watch(child: int, until: float, memory: int) -> int:
    """Wait for the program; end it, and all that it started, where they take more than they may together."""
    status = None
    while status is None:
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(code)
        elif time.monotonic() > until or _takes_too_much(memory):
            os.kill(child, signal.SIGKILL)  # and with it all of a process tree of its own
            status = 98
        else:
            time.sleep(_SECOND_LOOK)
    for _ in range(1000):
        for process in _below(os.getpid()):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(_SECOND_LOOK / 4)
    return status if status >= 0 else 128 - status


def _takes_too_much(memory: int) -> bool:
    processes = list(islice(_below(os.getpid()), MOST_PROCESSES + 1))
    if len(processes) > MOST_PROCESSES or _on_disk() > DISK:
        return True
    if sum(_number(f"/proc/{process}/statm", 1) for process in processes) * resource.getpagesize() <= memory:
        return False
    return sum(_share(process) for process in processes) > memory


def _below(process: int) -> Iterator[int]:
    """The processes that a process started, and those that these started."""
    try:
        tasks = os.listdir(f"/proc/{process}/task")
    except OSError:
        return
    for task in tasks:
        for child in _words(f"/proc/{process}/task/{task}/children"):
            yield int(child)
            yield from _below(int(child))


def _share(process: int) -> int:
    """Bytes of memory of a process; what several share is divided among them."""
    words = _words(f"/proc/{process}/smaps_rollup")
    return int(words[words.index("Pss:") + 1]) << 10 if "Pss:" in words else 0


def _on_disk() -> int:
    """Bytes in this folder; a disk of its own is bounded by itself, and not seen from here."""
    total = 0
    for folder, _, names in os.walk("."):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                pass
    return total


def _number(path: str, place: int) -> int:
    words = _words(path)
    return int(words[place]) if len(words) > place else 0


def _words(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
