"""This machine's part of a launch on several: ``0/2@10.0.0.1:29500``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunesmith.errors import UserError
from tunesmith.launch.command import Meeting

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
