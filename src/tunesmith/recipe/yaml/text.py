"""Bytes to text, and the characters that a recipe may hold."""

from __future__ import annotations

import re
from pathlib import Path

from tunesmith.recipe.finding import Finding, RecipeTrouble, Spot

MAX_BYTES = 1 << 20
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")


def decode(raw: bytes, name: str, folder: Path) -> str:
    """Bytes of a file as text.

    Raises:
        RecipeTrouble: too large, not UTF-8, or with a byte order mark.
    """
    spot = Spot(name, folder, 1, 1)
    if len(raw) > MAX_BYTES:
        what = f"this file has {len(raw):,} bytes; a recipe has at most {MAX_BYTES:,}"
        raise RecipeTrouble(
            [Finding(what, spot, "is this a data file? A recipe names it in `data.train.source`")]
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        kind = "a byte order mark" if raw.startswith(b"\xef") else "the mark of UTF-16"
        raise RecipeTrouble([Finding(f"the file starts with {kind}", spot, "save it as UTF-8 without BOM")])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise RecipeTrouble(
            [Finding(what, Spot(name, folder, line, column), "save the file as UTF-8")]
        ) from None


def split_lines(text: str) -> list[str]:
    """Lines as YAML counts them."""
    return _BREAK.split(text)


def refuse_characters(text: str, lines: list[str], name: str, folder: Path) -> None:
    """Stop at the first character that YAML does not allow.

    Raises:
        RecipeTrouble: its place and code point.
    """
    bad = _FORBIDDEN.search(text)
    if bad is None:
        return
    before = _BREAK.split(text[: bad.start()])
    spot = Spot(name, folder, len(before), len(before[-1]) + 1, 1, lines[len(before) - 1])
    what = f"character U+{ord(bad[0]):04X} cannot stand in a recipe"
    raise RecipeTrouble(
        [Finding(what, spot, 'delete it, or write it as an escape in double quotes: "\\x1b"')]
    )
