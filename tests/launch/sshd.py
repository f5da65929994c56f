"""A real ssh server on two addresses of this machine, so that it counts as two hosts, ``one`` and ``two``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ADDRESSES = {"one": "127.0.0.1", "two": "127.0.0.2"}


@dataclass(frozen=True)
class Hosts:
    """``environ`` makes ``ssh one`` and ``ssh two`` work for what is started with it."""

    folder: Path
    environ: dict[str, str]

    def hostfile(self, *lines: str) -> Path:
        path = self.folder / "hosts"
        path.write_text("\n".join(lines) + "\n")
        return path


def missing() -> str | None:
    """Which program is not here; a server wants an absolute path, and root or nothing to give away."""
    programs = {"ssh": None, "ssh-keygen": None, "pdsh": None, "sshd": "/usr/sbin:/usr/local/sbin:/sbin"}
    for name, path in programs.items():
        if shutil.which(name, path=path) is None:
            return name
    return None if os.geteuid() == 0 or Path("/run/sshd").is_dir() else "/run/sshd"


@contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    port = free_port()
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (folder / "sshd_config").write_text(
        "".join(f"ListenAddress {address}:{port}\n" for address in ADDRESSES.values())
        + f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nPidFile {folder}/pid\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
        "PermitRootLogin prohibit-password\n"
    )
    (folder / "config").write_text(
        "".join(f"Host {name}\n  HostName {address}\n" for name, address in ADDRESSES.items())
        + "Host silent\n  HostName 127.0.0.3\n"
        f"Host *\n  Port {port}\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
    )
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    wrapper.chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where the server drops its rights
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    server = subprocess.Popen([str(sshd), "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")])
    try:
        wait_for_port(port, folder / "log")
        yield Hosts(folder, {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"})
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((ADDRESSES["two"], port), timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
