"""Digests of rows: what tells two data sets, or two images, apart."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tunesmith.data.row import Row


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def rows_fingerprint(rows: Iterable[Row], *more: str) -> str:
    """SHA-256 in hexadecimal over ids and fields of rows, in order, and over further texts.

    Files that rows name (images) count with their bytes, not with their place.
    """
    digest = hashlib.sha256()
    for text in more:
        _feed(digest, text)
    for row in rows:
        _feed(digest, row.id)
        for name in sorted(row.fields):
            value = row.fields[name]
            _feed(digest, name)
            if name == "image":
                digest.update(content_digest(value))
            else:
                _feed(digest, value)
    return digest.hexdigest()


def content_digest(value: Any) -> bytes:
    """Digest of an image: of a file's bytes, an array's values, or a PIL image's pixels."""
    digest = hashlib.blake2b(digest_size=20)
    if isinstance(value, str | Path):
        with Path(value).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    else:
        _feed(digest, value)
    return digest.digest()


def _feed(digest: _Hash, value: Any) -> None:
    """Feed a value with its type and length, so that no two values give the same bytes."""
    if isinstance(value, str):
        _tagged(digest, b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bool | int | None):
        _tagged(digest, b"i", repr(value).encode())
    elif isinstance(value, float):
        _tagged(digest, b"f", struct.pack("<d", value))
    elif isinstance(value, bytes | bytearray | memoryview):
        _tagged(digest, b"b", bytes(value))
    elif isinstance(value, Mapping):
        _tagged(digest, b"m", str(len(value)).encode())
        for key in value:
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        _tagged(digest, b"l", str(len(value)).encode())
        for part in value:
            _feed(digest, part)
    else:
        _feed_array(digest, value)


def _feed_array(digest: _Hash, value: Any) -> None:
    import numpy as np

    array = np.ascontiguousarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"a {type(value).__name__} has no content to take a digest of")
    _tagged(digest, b"a", f"{array.dtype.str}{array.shape}{getattr(value, 'mode', '')}".encode())
    _tagged(digest, b"b", array.tobytes())


def _tagged(digest: _Hash, tag: bytes, data: bytes) -> None:
    digest.update(tag + struct.pack("<Q", len(data)))
    digest.update(data)
