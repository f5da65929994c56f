"""Digests of values: what tells two of them, or two files, apart."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def content_digest(value: Any) -> bytes:
    """Digest of a picture or a recording: of a file's bytes, an array's values, or a PIL image's pixels."""
    digest = hashlib.blake2b(digest_size=20)
    if isinstance(value, str | Path):
        with Path(value).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    else:
        feed(digest, value)
    return digest.digest()


def feed(digest: _Hash, value: Any) -> None:
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
            feed(digest, key)
            feed(digest, value[key])
    elif isinstance(value, list | tuple):
        _tagged(digest, b"l", str(len(value)).encode())
        for part in value:
            feed(digest, part)
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
