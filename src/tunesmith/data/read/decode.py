"""Bytes of a file as numbered lines of text, in the encoding that the recipe names."""

from __future__ import annotations

import codecs
import lzma
import re
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from tunesmith.data.read.bounds import MOST_CELL, room_for_rows, too_long, too_much, too_packed
from tunesmith.data.read.unpack import most_unpacked, open_bytes
from tunesmith.data.row import Skip
from tunesmith.errors import UserError
from tunesmith.suggest import nearest_names

_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ESCAPED = re.compile("[\udc80-\udcff]")
_NUL = "it holds a NUL byte; the file is binary or damaged, or has another `encoding`"


def check_encoding(encoding: str, where: str = "") -> str:
    """The encoding's own name.

    Raises:
        UserError: Python knows no such encoding, or it is not one of text.
    """
    try:
        name = codecs.lookup(encoding).name
        "\n".encode(name)
    except LookupError as error:
        close = nearest_names(
            encoding, ["utf-8", "latin-1", "cp1252", "utf-16", "ascii", "shift_jis", "gb18030"], 1
        )
        hint = f"did you mean `{close[0]}`?" if close else "usual ones are utf-8, latin-1, cp1252 and utf-16"
        raise UserError(f"there is no encoding `{encoding}`", where, hint) from error
    return name


def decoded_lines(path: Path, encoding: str, longest: int = MOST_CELL) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without line ends (LF or CRLF) and without a byte-order mark.

    Bytes that are not of the encoding become lone surrogates, which ``undecodable`` finds, so that one
    bad line does not lose the rest. Only LF ends a line: other separators may stand inside JSON.

    Raises:
        UserError: the file's byte-order mark is of another encoding, it cannot be decoded at all, or holds
            more than there is room for.
    """
    encoding = check_encoding(encoding)
    (most, lines), given = most_unpacked(path), 0
    with _opened(path) as file:
        try:
            if "\n".encode(encoding) != b"\n":
                yield from _split(_whole(file, path).decode(encoding))
                return
            for number, line in enumerate(iter(partial(file.readline, longest + 1), b""), 1):
                if len(line) > longest:
                    raise too_long(str(path), number, longest)
                given += len(line)
                if given > most or number > lines:
                    raise too_packed(str(path), given, number)
                text = line.decode(encoding, "surrogateescape")
                if number == 1:
                    _refuse_other_mark(line, path, encoding)
                    text = text.removeprefix("\ufeff")
                yield number, text.removesuffix("\n").removesuffix("\r")
        except UnicodeError as error:
            raise UserError(f"the file is not {encoding}: {error}", str(path), "set `encoding`") from error
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
            raise UserError(
                f"the file cannot be read: {error}", str(path), "see whether it is whole"
            ) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return open_bytes(path)
    except OSError as error:
        raise UserError(f"the file cannot be opened: {error.strerror or error}", str(path)) from error


def _whole(file: IO[bytes], path: Path) -> bytes:
    """All of it; an encoding whose line ends are no single bytes is not read line by line."""
    room = room_for_rows() // 4  # it is there as bytes, as text and as rows
    raw = file.read(room + 1)
    if len(raw) > room:
        raise too_much(str(path), room)
    return raw


def _split(text: str) -> Iterator[tuple[int, str]]:
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        yield number, line.removesuffix("\r")


def _refuse_other_mark(line: bytes, path: Path, encoding: str) -> None:
    for mark, other in _BOMS.items():
        if line.startswith(mark):
            raise UserError(
                f"the file begins as {other}, not {encoding}", str(path), f"set `encoding: {other}`"
            )


def problem_of(line: str, encoding: str) -> str | None:
    """Why a decoded line is no text: bytes outside of the encoding, or NUL."""
    if "\0" in line:
        return _NUL
    if line.isascii():
        return None
    if (found := _ESCAPED.search(line)) is None:
        return None
    byte = ord(found[0]) - 0xDC00
    return (
        f"byte 0x{byte:02x} at character {found.start() + 1} is not {encoding}; set `encoding`, e.g. latin-1"
    )


def checked_lines(path: Path, label: str, encoding: str) -> Iterator[tuple[str, int, str] | Skip]:
    """Lines of a row each, as name, number from 1 and text; blank ones and such as are no text are skipped.

    Raises:
        UserError: as ``decoded_lines`` does.
    """
    for number, line in decoded_lines(path, encoding):
        row_id = f"{label}:{number}"
        if not line.strip():
            yield Skip(row_id, "empty", "blank line")
        elif (problem := problem_of(line, encoding)) is not None:
            yield Skip(row_id, "malformed", problem)
        else:
            yield row_id, number, line
