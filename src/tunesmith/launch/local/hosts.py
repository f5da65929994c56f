"""Plain hosts: a hostfile as DeepSpeed writes it, and whether ssh reaches every host in it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.launch.command import Meeting

CONNECT_SECONDS = 5
"""How long a host has to let ssh in."""

_ANSWER_SECONDS = 20
_LOOK = """
import importlib.util, socket, sys
missing = [name for name in ("tunesmith", "deepspeed") if importlib.util.find_spec(name) is None]
if missing: sys.exit("no module " + " and ".join(missing))
free = socket.socket()
free.bind(("", 0))
print(free.getsockname()[1])
"""

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_\[:][A-Za-z0-9_.@:%\[\]-]*)\s+slots=(?P<slots>[0-9]{1,6})")
_SAFE = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
# What a process on another host needs from here. Whatever is passed on stands in a command line that
# everybody on that host can read, so nothing secret is: log in to a hub there.
_PASSED = re.compile(
    r"PATH|HOME|LANG|LC_ALL|LD_LIBRARY_PATH|VIRTUAL_ENV|CUDA_HOME|OMP_NUM_THREADS|XDG_CACHE_HOME|DS_ENV_FILE"
    r"|PYTHONSAFEPATH"
    r"|(ACCELERATE|TUNESMITH|NCCL|GLOO|TORCH|DS|HF|PDSH)_\w+"
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Host:
    """One machine.

    Attributes:
        name: as ssh knows it.
        slots: processes it runs.
    """

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """Read lines ``NAME slots=NUMBER``; ``#`` starts a comment.

    Raises:
        UserError: a line is none, a host stands there twice, or not all have as many slots.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"cannot read the hostfile: {problem}", str(path), "check its name") from None
    hosts: dict[str, Host] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        where, match = f"{path}:{number}", _LINE.fullmatch(text)
        if match is None or int(match["slots"]) < 1:
            raise UserError(f"`{text}` names no host", where, "write `NAME slots=NUMBER_OF_PROCESSES`")
        if match["name"] in hosts:
            raise UserError(
                f"host `{match['name']}` stands here twice", where, "add up its slots in one line"
            )
        hosts[match["name"]] = Host(match["name"], int(match["slots"]))
    return _even(list(hosts.values()), path)


def reach(hosts: Sequence[Host], folder: Path, python: str = sys.executable) -> Meeting:
    """Ask every host, all at the same time, for what a launch needs.

    Args:
        hosts: where processes will run.
        folder: must be seen by all of them.
        python: the interpreter, at the same path on each.

    Returns:
        Where the processes meet: the first host, at a port that was free on it.

    Raises:
        UserError: ``ssh`` or ``pdsh`` is missing, a host does not let ssh in within ``CONNECT_SECONDS``
            without a password, or lacks the interpreter, the packages or the folder.
    """
    for program, package in (("ssh", "openssh-client"), ("pdsh", "pdsh")):
        if shutil.which(program) is None:
            hint = f"install it, on Debian with `apt-get install {package}`"
            raise UserError(f"`{program}` is needed to reach other hosts, and is not here", hint=hint)
    for path in (str(folder), python):
        if not _SAFE.fullmatch(path):
            hint = "use a path of letters, digits and `_ . - /`"
            raise UserError("this path cannot be told to another host's shell", path, hint)
    with ThreadPoolExecutor(max_workers=32) as pool:
        answers = list(pool.map(lambda host: _ask(host, folder, python), hosts))
    problems = [problem for problem, _ in answers if problem is not None]
    if problems:
        more = f" (and {len(problems) - 1} more hosts have something)" if len(problems) > 1 else ""
        raise UserError(problems[0].what + more, hint=problems[0].hint)
    return Meeting(address=_address_of(hosts[0].name), port=int(answers[0][1]))


@dataclass(frozen=True, slots=True)
class RemoteProcesses:
    """The processes of a launch on other hosts.

    Attributes:
        hosts: where they run, in the order of their ranks.
        folder: the launch's outcome folder, by which they are known.
        python: the interpreter on each host.
    """

    hosts: Sequence[Host]
    folder: Path
    python: str = sys.executable

    def signal(self, number: int, *, first_host_only: bool = False) -> int:
        """Send a signal, to all hosts at the same time; 0 sends nothing and counts.

        Returns:
            How many processes were reached.
        """
        chosen = self.hosts[:1] if first_host_only else self.hosts

        def act(numbered: tuple[int, Host]) -> int:
            place, host = numbered
            words = [self.python, "-P", "-m", "tunesmith.launch.local.processes"]
            words += [str(self.folder), str(place), str(int(number))]
            done = _ssh(host.name, shlex.join(words))
            return int(done.stdout) if done is not None and done.returncode == 0 else 0

        with ThreadPoolExecutor(max_workers=32) as pool:
            return sum(pool.map(act, enumerate(chosen)))


def passed_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment that other hosts are given: no secrets, nothing a shell would split."""
    return {
        name: value
        for name, value in environ.items()
        if _PASSED.fullmatch(name) and not _SECRET.search(name) and _SAFE.fullmatch(value)
    }


def _even(hosts: list[Host], path: Path) -> list[Host]:
    if len(hosts) < 2:
        hint = "name two or more; for this machine alone leave out `--hostfile`"
        raise UserError(f"the hostfile names {'one host' if hosts else 'no host'}", str(path), hint)
    if len({host.slots for host in hosts}) > 1:
        counts = ", ".join(f"{host.name} {host.slots}" for host in hosts)
        hint = "give each the same number of slots: Accelerate starts as many processes on each"
        raise UserError(f"the hosts have different numbers of slots: {counts}", str(path), hint)
    return hosts


def _ask(host: Host, folder: Path, python: str) -> tuple[UserError | None, str]:
    """What is wrong with a host, if anything, and a port that is free on it."""
    name, seen = host.name, shlex.quote(str(folder))
    script = (
        f"test -x {python} || exit 11; test -d {seen} || exit 12; {python} -c {shlex.quote(_LOOK)} || exit 13"
    )
    done = _ssh(name, script)
    if done is None:
        hint = f"see what `ssh {name} true` does"
        return UserError(f"host `{name}` has not answered in {_ANSWER_SECONDS} s", hint=hint), ""
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    what, hint = {
        0: ("", ""),
        11: (f"has no `{python}`", "make the same environment at the same path on every host"),
        12: (f"does not see `{folder}`", "choose a `run.dir` on a disk that all hosts share"),
        13: (f"lacks tunesmith or DeepSpeed: {said}", "install the same versions on every host"),
    }.get(
        done.returncode,
        (f"cannot be reached: {said}", f"`ssh {name} true` must work from here without a password"),
    )
    return (UserError(f"host `{name}` {what}", hint=hint) if what else None), done.stdout.strip()


def _ssh(name: str, script: str) -> subprocess.CompletedProcess[str] | None:
    """Let a host's shell do something; None if it does not answer."""
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
    try:
        return subprocess.run(
            ["ssh", *options, name, script],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _address_of(name: str) -> str:
    """What ssh's own configuration says that a name stands for."""
    done = subprocess.run(["ssh", "-G", name], capture_output=True, text=True, timeout=10, check=False)
    lines = [line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith("hostname ")]
    return lines[0][1] if lines else name


# A name, an IPv4 address, or an IPv6 address in brackets.
_FORM = re.compile(r"(\d{1,6})/(\d{1,6})@(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class Machine:
    """One of several machines that each get a command of their own.

    Attributes:
        machines: how many there are.
        meeting: which of them this is, and where the first one waits.
    """

    machines: int
    meeting: Meeting


def parse_machine(text: str) -> Machine:
    """Read ``NUMBER/MACHINES@ADDRESS:PORT``, the number counting from 0.

    Raises:
        UserError: it is written otherwise, or the number is not one of that many.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise UserError(
            f"`--machine {text}` names no machine",
            hint="write NUMBER/MACHINES@ADDRESS:PORT, `--machine 0/2@10.0.0.1:29500` on the first of two; a "
            " `$(NAME)` left in it is a variable that was not set",
        )
    number, machines, port = int(match[1]), int(match[2]), int(match[4])
    if number >= machines or not 0 < port < 65536:
        what = f"machine {number} of {machines}" if number >= machines else f"port {port}"
        raise UserError(
            f"`--machine {text}` asks for {what}, which there is not",
            hint="numbers count from 0, and ports end at 65535",
        )
    return Machine(machines, Meeting(machine_rank=number, address=match[3].strip("[]"), port=port))
