"""A log of one JSON object a line that survives crashes: ``metrics.jsonl``."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.atomic import FILE_MODE, finite, sync_folder, write_bytes, writing
from tunesmith.checkpoint.plain_file import MIB, read_plain
from tunesmith.errors import UserError
from tunesmith.redact import redact_deep

MOST_JOURNAL = 8192 * MIB


def append_record(path: Path, record: Mapping[str, Any], *, durable: bool = False) -> None:
    """Append one record; numbers that are not finite become ``null``, secrets in texts are blotted out.

    Raises:
        UserError: if the disk is full or may not be written.
    """
    line = json.dumps(finite(redact_deep(record)), ensure_ascii=False, allow_nan=False)
    append_line(path, line, durable=durable)


def append_line(path: Path, line: str, *, durable: bool = False) -> None:
    """Append one line in one write; for one writing process a file.

    A torn last line, left by a crash, is cut off first. If the disk fills up in the middle, the part
    is taken back.

    Args:
        path: made if missing.
        line: without a line break.
        durable: wait until the line is on the disk.

    Raises:
        UserError: if the disk is full or may not be written.
    """
    assert "\n" not in line, "a line holds no line break"
    data = line.encode("utf-8") + b"\n"
    with writing(path):
        is_new = not path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, FILE_MODE)
        try:
            end = _cut_torn_line(descriptor)
            _write_or_take_back(descriptor, data, end)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            path.chmod(FILE_MODE)
            sync_folder(path.parent)


def _cut_torn_line(descriptor: int) -> int:
    """Cut what follows the last line break; the size of the file then."""
    end = os.fstat(descriptor).st_size
    position = end
    while position and os.pread(descriptor, 1, position - 1) != b"\n":
        step = min(position, 4096)
        found = os.pread(descriptor, step, position - step).rfind(b"\n")
        position = position - step + found + 1 if found >= 0 else position - step
    if position != end:
        os.ftruncate(descriptor, position)
    return position


def _write_or_take_back(descriptor: int, data: bytes, end: int) -> None:
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All records, oldest first; none if the file is missing.

    What follows the last line break was torn by a crash and is left out.

    Raises:
        UserError: if a whole line is not a JSON object, with its number; or what is there is no plain file.
    """
    return [record for _, record in _lines(path)]


def truncate_after(path: Path, step: int) -> int:
    """Remove the records beyond a step, and a torn last line, when a run goes on from that step.

    The lines that stay keep their bytes. Records without a step stay.

    Returns:
        How many records were removed.

    Raises:
        UserError: as ``read_journal``.
    """
    return _keep(path, lambda record: not _is_beyond(record, step))


def keep_evaluations(path: Path, steps: Collection[int]) -> int:
    """Remove the records of evaluations that are not of these steps: they are made again.

    Returns:
        How many records were removed.

    Raises:
        UserError: as ``read_journal``.
    """
    return _keep(path, lambda record: record.get("kind") != "eval" or record.get("step") in steps)


def _keep(path: Path, stays: Callable[[Mapping[str, Any]], bool]) -> int:
    lines = _lines(path)
    staying = [line for line, record in lines if stays(record)]
    content = b"".join(line + b"\n" for line in staying)
    if path.exists() and content != path.read_bytes():
        write_bytes(path, content)
    return len(lines) - len(staying)


def _is_beyond(record: Mapping[str, Any], step: int) -> bool:
    at = record.get("step")
    return isinstance(at, int | float) and at > step


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    try:
        *whole, _torn = read_plain(path, MOST_JOURNAL).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise UserError(
            f"the log cannot be read: {problem.strerror}",
            str(path),
            "mend or remove it, or choose another `run.dir`",
        ) from problem
    return [(line, _parse(path, number, line)) for number, line in enumerate(whole, start=1)]


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as problem:
        record = problem
    if not isinstance(record, dict):
        raise UserError(
            "this line of the log is not a JSON object",
            where=f"{path}:{number}",
            hint="it was edited or the disk is damaged; mend or remove the line, or start with `--fresh`",
        )
    return record
