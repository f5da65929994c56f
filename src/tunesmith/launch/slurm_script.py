"""A job's script: a shipped one, ``sft.sbatch`` or ``follow.sbatch``, with its lines filled in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from tunesmith.launch.slurm_options import JobOptions, option_lines

_OPTION = "#SBATCH "


def shipped_script(name: str = "sft.sbatch") -> str:
    """A script that is shipped: of the installed package, or of the repository it runs from."""
    installed = Path(str(resources.files("tunesmith"))) / "slurm"
    repository = Path(__file__).resolve().parents[3] / "slurm"
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
