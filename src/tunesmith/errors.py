"""The one exception a user meets, and the exit statuses of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses; launchers, schedulers and CI rely on them."""

    FINISHED = 0
    FAULT = 1
    USER = 2
    PREEMPTED = 75


@dataclass
class UserError(Exception):
    """Something the user must change: recipe, data or flags.

    Raised anywhere, caught at the entry alone, where it becomes one message and status 2.
    A traceback is therefore always a mistake of ours.

    Attributes:
        what: the mistake, one sentence, lower case, naming the thing in backquotes.
        where: ``file:line:column`` or a path, empty if there is none.
        hint: the way out, one sentence.
        source: lines of the file with a caret under the mistake, if known.
    """

    what: str
    where: str = ""
    hint: str = ""
    source: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        parts = [head, self.source, f"hint: {self.hint}" if self.hint else ""]
        return "\n".join(part for part in parts if part)


def describe_error(error: BaseException) -> str:
    """An error as people are told of it: a user's own in its words alone, any other with its kind."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}".rstrip(": ")
