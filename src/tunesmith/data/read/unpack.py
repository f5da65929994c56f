"""Files as bytes, unpacked on the way if their ending says that they are packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import IO, Any

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
"""Endings of packed files; what stands before says which format is inside."""
_MOST_TIMES, _SURELY_FINE = 200, 1 << 28


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, through its decompressor if it ends in one of ``PACKED``."""
    ending = path.suffix.lower()
    if ending == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    if ending in {".zst", ".zstd"}:
        return io.BufferedReader(_Zstandard(path), 1 << 16)
    openers: Any = {".bz2": bz2.open, ".xz": lzma.open}
    return openers[ending](path, "rb") if ending in openers else path.open("rb")


def most_unpacked(path: Path) -> tuple[float, float]:
    """Bytes and lines that a file may give, so that reading a bomb has an end.

    Rows of text shrink to a tenth, or so, and none of them to less than a byte.
    """
    if path.suffix.lower() not in PACKED:
        return float("inf"), float("inf")
    size = path.stat().st_size
    return max(_SURELY_FINE, _MOST_TIMES * size), max(_SURELY_FINE >> 9, size)


def without_packing(name: str) -> str:
    """A file's name without the ending that says how it is packed."""
    return name[: name.rindex(".")] if name.lower().endswith(PACKED) else name


class _Zstandard(io.RawIOBase):
    """Zstandard through Arrow, since Python 3.11 cannot unpack it by itself."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        self.stream = pyarrow.input_stream(str(path), compression="zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data: bytes = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.stream.close()
        super().close()
