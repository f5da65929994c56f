"""Files of text with rows in lines or one list: JSON Lines, JSON, and plain text with a pattern."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.data.read.bounds import room_for_rows, too_much
from tunesmith.data.read.decode import checked_lines, decoded_lines, problem_of
from tunesmith.data.read.raw import Item, RawRow, not_a_mapping
from tunesmith.data.row import Skip
from tunesmith.errors import UserError
from tunesmith.pattern import TooSlow, matched


def read_jsonl(path: Path, label: str, encoding: str) -> Iterator[Item]:
    """JSON Lines: a mapping a line; blank lines are ``empty``."""
    for found in checked_lines(path, label, encoding):
        yield found if isinstance(found, Skip) else _json_row(found[0], found[2], found[1])


def _json_row(row_id: str, line: str, number: int) -> Item:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        hint = "; the file looks like one JSON list, set `format: json`" if _begins_list(line, number) else ""
        return Skip(
            row_id, "malformed", f"column {error.colno}: {error.msg}, near {_near(line, error.pos)}{hint}"
        )
    except (ValueError, RecursionError) as error:
        return Skip(row_id, "malformed", f"{type(error).__name__}: {error}"[:200])
    if isinstance(value, dict):
        return RawRow(row_id, value)
    hint = "; set `format: json` for a file that is one list" if isinstance(value, list) else ""
    return Skip(row_id, "malformed", not_a_mapping(value) + hint)


def _begins_list(line: str, number: int) -> bool:
    return number == 1 and line.lstrip().startswith("[")


def _near(text: str, position: int) -> str:
    return repr(text[max(0, position - 10) : position + 20])


def read_json(path: Path, label: str, encoding: str) -> list[Any]:
    """A ``.json`` file that is one list.

    Raises:
        UserError: it is not JSON, or not a list.
    """
    text = _bounded_text(path, encoding)
    if not text.strip():
        return []
    if (problem := problem_of(text, encoding)) is not None:
        raise UserError(f"{label} is not text: {problem}", str(path))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        lines = error.msg == "Extra data" and text.lstrip().startswith("{")
        hint = "the file looks like JSON Lines: set `format: jsonl`" if lines else "mend the file"
        where = f"{path}:{error.lineno}:{error.colno}"
        raise UserError(f"not JSON: {error.msg}, near {_near(text, error.pos)}", where, hint) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}"[:300], str(path), "mend the file") from error
    if isinstance(value, list):
        return value
    inside = [key for key, part in value.items() if isinstance(part, list)] if isinstance(value, dict) else []
    hint = f"write the list under `{inside[0]}` into a file of its own" if inside else "use JSON Lines"
    raise UserError("the file is not a list of rows", str(path), f"{hint}, or make the file one list")


def _bounded_text(path: Path, encoding: str) -> str:
    """A whole file as text; a JSON list may stand on one line, so that only all of it is bounded."""
    room, used, lines = room_for_rows() // 4, 0, []
    for _, line in decoded_lines(path, encoding, longest=room):
        used += sys.getsizeof(line)
        if used > room:
            raise too_much(str(path), room)
        lines.append(line)
    return "\n".join(lines)


def read_text(path: Path, label: str, encoding: str, pattern: str | None, where: str = "") -> Iterator[Item]:
    """Plain text: every line is a row with a column ``text``, or with the groups of ``pattern``.

    Blank lines are ``empty``; lines that the pattern does not match from end to end are ``malformed``.

    Raises:
        UserError: the pattern is none, has no named group, or takes too long on a line.
    """
    if pattern is not None:
        _check(pattern, where)
    for one in checked_lines(path, label, encoding):
        if isinstance(one, Skip):
            yield one
            continue
        row_id, _, line = one
        if pattern is None:
            yield RawRow(row_id, {"text": line})
        elif (found := _matched(pattern, line, row_id)) is not None:
            yield RawRow(row_id, found.groupdict())
        else:
            yield Skip(row_id, "malformed", f"`pattern` does not match {line[:80]!r}")


def _matched(pattern: str, line: str, row_id: str) -> Any:
    try:
        return matched(pattern, line)
    except TooSlow as slow:
        raise TooSlow(slow.what, row_id, slow.hint) from None


def _check(pattern: str, where: str) -> None:
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"`pattern` is not a regular expression: {error}", where, "test it on one line"
        ) from error
    if not regex.groupindex:
        raise UserError(
            "`pattern` has no named group", where, "name the columns: `(?P<label>\\w+) (?P<text>.*)`"
        )
