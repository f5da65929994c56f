"""What a job asks SLURM for, as the ``#SBATCH`` lines of its script (pure)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tunesmith.errors import UserError

NOTICE_SECONDS = 180
_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,6})(?::(\d{1,2}))?(?::(\d{1,2}))?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """A job's wishes.

    Attributes:
        name: of the job.
        output: path of its log; ``%j``, ``%A``, ``%a`` are SLURM's.
        comment: by which it can be found again.
        nodes: each gets one task.
        gpus: of each node; None asks for none.
        cpus: cores of each node; None leaves it to the cluster.
        time: as SLURM writes it; None is the partition's default.
        notice: seconds before the time limit at which the run saves and is requeued.
        partition: None is the cluster's default.
        account: who pays.
        qos: quality of service.
        tasks: number of runs of an array; None if it is no array.
        at_once: how many of the array may run at a time.
        after: jobs that must have succeeded before.
        beside: a job that must have begun before.
        other: further options of sbatch, as they are.
    """

    name: str
    output: str
    comment: str
    nodes: int = 1
    gpus: int | None = None
    cpus: int | None = None
    time: str | None = None
    notice: int = NOTICE_SECONDS
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    tasks: int | None = None
    at_once: int | None = None
    after: tuple[str, ...] = ()
    beside: str | None = None
    other: tuple[str, ...] = ()


def option_lines(job: JobOptions) -> list[str]:
    """The ``#SBATCH`` lines of a job.

    Raises:
        UserError: a value would break out of its line.
    """
    limit = f"%{job.at_once}" if job.at_once else ""
    options = {
        "job-name": job.name,
        "comment": job.comment,
        "output": job.output,
        "open-mode": "append",
        "nodes": job.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": job.gpus,
        "cpus-per-task": job.cpus,
        "time": job.time,
        "signal": f"B:USR2@{job.notice}",
        "partition": job.partition,
        "account": job.account,
        "qos": job.qos,
        "array": f"0-{job.tasks - 1}{limit}" if job.tasks else None,
        "dependency": _dependency(job),
        "kill-on-invalid-dep": "yes" if job.after or job.beside else None,
    }
    lines = [f"--{key}={_quoted(str(value))}" for key, value in options.items() if value is not None]
    return [f"#SBATCH {line}" for line in [*lines, "--requeue", *(_plain(one) for one in job.other)]]


def _dependency(job: JobOptions) -> str | None:
    succeeded = ["afterok:" + ":".join(job.after)] if job.after else []
    begun = [f"after:{job.beside}"] if job.beside else []
    return ",".join([*succeeded, *begun]) or None


def read_time(text: str) -> tuple[str, int]:
    """A time limit as SLURM writes it, and in seconds.

    Args:
        text: ``4h``, ``90m``, ``1d``, or as sbatch takes it: ``30`` (minutes), ``4:00:00``, ``1-12``.

    Raises:
        UserError: it is neither.
    """
    short = re.fullmatch(r"(\d{1,6})([smhd])", text)
    match = _TIME.fullmatch(text)
    if short:
        seconds = int(short[1]) * _UNITS[short[2]]
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}", _not_zero(text, seconds)
    if not match:
        raise UserError(f"`--time {text}` is no time", hint="write e.g. `--time 4h` or `--time 4:00:00`")
    days, first, second, third = match.groups()
    one, two, three = int(first), int(second or 0), int(third or 0)
    if days is not None:  # D-HH[:MM[:SS]]
        return text, _not_zero(text, ((int(days) * 24 + one) * 60 + two) * 60 + three)
    if third is not None:  # HH:MM:SS
        return text, _not_zero(text, (one * 60 + two) * 60 + three)
    return text, _not_zero(text, one * 60 + two)  # MM[:SS]


def job_name(run_dir: str) -> str:
    """A job's name from its run directory: letters that every tool shows as they are."""
    last = run_dir.rstrip("/").rpartition("/")[2]
    return "tunesmith-" + (re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-") or "run")[:60]


def _not_zero(text: str, seconds: int) -> int:
    if seconds <= 0:
        raise UserError(f"`--time {text}` leaves no time", hint="write e.g. `--time 4h`")
    return seconds


def log_path(folder: Path, name: str) -> str:
    """The path of a log as SLURM reads it: in ``folder``, every ``%`` of which stands for itself.

    Args:
        folder: absolute.
        name: of the file; its ``%j`` and the like are SLURM's.

    Raises:
        UserError: SLURM cannot be told this folder. A backslash switches its ``%`` off, and how quotes are
            read differs from version to version.
    """
    odd = next((sign for sign in str(folder) if sign in "\\\"'" or not sign.isprintable()), None)
    if odd is not None:
        raise UserError(
            f"SLURM cannot write a log into a folder with {odd!r} in its name",
            str(folder.parent),
            "choose another `run.dir=…`, of letters, digits, blanks and signs but for quotes and backslashes",
        )
    return f"{str(folder).replace('%', '%%')}/{name}"


def _quoted(value: str) -> str:
    plain = _plain(value)
    if re.fullmatch(r"[\w./:@%+,=-]+", plain):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: str) -> str:
    if any(ord(letter) < 32 for letter in value):
        raise UserError(
            "an option for SLURM holds a line break, or another control", hint="write it on one line"
        )
    return value


_OPTION = "#SBATCH "


def shipped_script(name: str = "sft.sbatch") -> str:
    """A script that is shipped: of the installed package, or of the repository it runs from."""
    installed = Path(str(resources.files("tunesmith"))) / "slurm"
    repository = Path(__file__).resolve().parents[4] / "slurm"
    folder = installed if installed.is_dir() else repository
    return (folder / name).read_text(encoding="utf-8")


def script_text(shipped: str, job: JobOptions, variables: Mapping[str, str], arguments: Sequence[str]) -> str:
    """The script of one job.

    Args:
        shipped: whose ``#SBATCH`` lines are replaced, and whose commands stay as they are.
        job: what to ask for.
        variables: exported before the first command.
        arguments: the recipe and what follows it; ``sbatch`` needs none beside the script.
    """
    lines = shipped.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(_OPTION))
    head = [line for line in lines[:first] if not line.startswith(_OPTION)]
    body = [line for line in lines[first:] if not line.startswith(_OPTION)]
    filled_in = [
        *option_lines(job),
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"set -- {shlex.join(arguments)}",
    ]
    return "\n".join([*head, *filled_in, *body]) + "\n"
