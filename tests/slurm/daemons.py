"""A small SLURM of one machine: munged, slurmctld and two slurmd, started and ended by the tests.

    python daemons.py FOLDER

One command a line comes in, ``start NAME`` or ``kill NAME`` (``n1`` and ``n2`` with all that runs on them),
and one line goes out for each. When the input ends, because the tests have ended or died, everything that
was ever started here is killed: orphans become children of this process.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
NODES = ("n1", "n2")


def table() -> dict[int, tuple[int, str]]:
    """Every process: its parent, and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found[int(entry.name)] = (parent, words)
    return found


def below(root: int, processes: dict[int, tuple[int, str]]) -> list[int]:
    """All descendants of a process, itself left out."""
    found, waiting = [], [root]
    while waiting:
        above = waiting.pop()
        children = [pid for pid, (parent, _) in processes.items() if parent == above]
        found += children
        waiting += children
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_everything() -> None:
    for _ in range(100):
        left = below(os.getpid(), table())
        if not left:
            return
        kill(left)
        reap()
        time.sleep(0.02)


def kill_node(name: str, daemon: subprocess.Popen) -> None:
    """What a power cut does: the node's daemon, its steps, and every process of theirs are gone at once."""
    processes = table()
    own = below(os.getpid(), processes)
    steps = [pid for pid in own if "slurmstepd" in processes[pid][1] and node_of(pid) == name]
    doomed = [pid for step in steps for pid in (step, *below(step, processes))]
    kill([daemon.pid, *doomed])
    daemon.wait()


def node_of(pid: int) -> str:
    """The node on which a step's daemon or task runs, known by the environment of its tasks."""
    for task in (pid, *below(pid, table())):
        try:
            environ = Path(f"/proc/{task}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        names = [one.partition(b"=")[2].decode() for one in environ if one.startswith(b"SLURMD_NODENAME=")]
        if names:
            return names[0]
    return ""


class Daemons:
    def __init__(self, folder: Path) -> None:
        self._folder, self._running = folder, {}

    def start(self, name: str) -> None:
        log = (self._folder / "log" / f"{name}.out").open("ab")
        environ = {**os.environ, "SLURM_CONF": str(self._folder / "slurm.conf")}
        self._running[name] = subprocess.Popen(
            self._command(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
        )

    def _command(self, name: str) -> list[str]:
        if name == "munged":
            named = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid"}
            named |= {"log-file": "log/munged", "seed-file": "munge.seed"}
            options = [f"--{option}={self._folder / file}" for option, file in named.items()]
            return ["munged", "--foreground", "--force", *options]
        if name == "slurmctld":
            return ["slurmctld", "-D"]
        command = ["slurmd", "-D", "-N", name]
        blind = self._folder / "blind"
        if name == "n2" and blind.exists():
            # A node of its own mounts, on which one folder is another one than elsewhere.
            mount = f'mount -t tmpfs none "{blind.read_text()}" && exec "$@"'
            return ["unshare", "--mount", "sh", "-c", mount, "sh", *command]
        return command

    def reap_orphans(self) -> None:
        """Steps' daemons leave their parents; they are to be no zombies here."""
        own = {daemon.pid for daemon in self._running.values()}
        for pid, (parent, words) in table().items():
            if parent == os.getpid() and pid not in own and not words:
                os.waitpid(pid, os.WNOHANG)

    def kill(self, name: str) -> None:
        daemon = self._running.pop(name)
        if name in NODES:
            kill_node(name, daemon)
            return
        processes = table()
        kill([daemon.pid, *below(daemon.pid, processes)])
        daemon.wait()


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    daemons = Daemons(Path(sys.argv[1]))
    try:
        while True:
            ready, _, _ = select.select([sys.stdin], [], [], 0.5)
            daemons.reap_orphans()
            if not ready:
                continue
            line = sys.stdin.readline()
            if not line:
                return
            action, name = line.split()
            getattr(daemons, action)(name)
            print("done", flush=True)
    finally:
        kill_everything()
        shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, whose end is ours
    main()
