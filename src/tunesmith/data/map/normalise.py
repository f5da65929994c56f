"""Values of columns as text, numbers and comparable text."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

_LARGEST = 1e18
"""Its square still is a number of 32 bits, in which losses are computed."""


class BadRow(Exception):
    """A row that cannot be used; caught where rows are mapped, where it becomes a ``Skip``.

    Attributes:
        reason: ``empty`` or ``malformed``.
        detail: why, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def to_text(value: Any, column: str) -> str:
    """A column's value as text; ``None`` is empty text.

    Raises:
        BadRow: it is a list, a mapping or bytes, not a number (NaN), or text that no file can hold.
    """
    value = plain_text(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return _storable(value, column)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRow("malformed", f"`{column}` is {value}")
    if isinstance(value, list | tuple | dict | bytes | bytearray) or hasattr(value, "__array__"):
        raise BadRow("malformed", f"`{column}` is a {type(value).__name__}, not text")
    return str(value)


def to_number(value: Any, column: str) -> float:
    """A column's value as a finite number.

    Raises:
        BadRow: it is empty, not a number, NaN, infinite, or too large to compute with.
    """
    value = plain_text(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadRow("empty", f"`{column}` is empty")
    if isinstance(value, bool):
        raise BadRow("malformed", f"`{column}` is {str(value).lower()}, not a number")
    try:
        number = float(value.replace("_", " ") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise BadRow("malformed", f"`{column}` is {str(value)[:60]!r}, not a number") from None
    if not math.isfinite(number):
        raise BadRow("malformed", f"`{column}` is {number}")
    if abs(number) > _LARGEST:
        raise BadRow("malformed", f"`{column}` is {number:g}, and a model computes with up to {_LARGEST:g}")
    return number


def plain_text(value: Any) -> Any:
    """A scalar of numpy as Python's own; anything else as it is."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def comparable(text: str) -> str:
    """Text for the search for leaks: Unicode in composed form (NFC), every run of blanks one blank."""
    return " ".join(exactly(text).split())


def comparable_lines(text: str) -> str:
    """Text for the search for duplicates: as ``comparable``, but lines and their indentation stay."""
    lines = exactly(text).split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip())] + " ".join(line.split()) for line in lines)


def exactly(text: str) -> str:
    """Text with nothing changed but Unicode in composed form (NFC) and blanks around it taken away."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def _storable(text: str, column: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadRow("malformed", f"`{column}` has half a character (a lone surrogate)") from error
    return text
