"""Rows to examples, once: the result is cached under a fingerprint of everything that shaped it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tunesmith.data.encode_cache import Known, read_examples, write_examples
from tunesmith.data.fingerprint import rows_fingerprint
from tunesmith.data.row import Row, Skip
from tunesmith.fault import fault
from tunesmith.sources.cache import cache_folder
from tunesmith.sources.lock import locked

Example = dict[str, Any]
Encode = Callable[[Row], Example | Skip]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of rows.

    Attributes:
        examples: in the order of the rows.
        skipped: rows that the task left out, and why.
    """

    examples: Sequence[Example]
    skipped: Sequence[Skip]


def encode_rows(rows: Sequence[Row], encode: Encode, *, fingerprint: str, cache: bool) -> Encoded:
    """Encode every row, or read what an earlier run or another process encoded.

    Processes that start at once encode once: one does, the others wait for its lock.

    Args:
        rows: the rows.
        encode: the task's.
        fingerprint: text that names everything beside the rows that shapes the result: task, tokenizer,
            chat template, longest length, overflow, where loss lies.
        cache: whether to use the cache at all.

    Raises:
        UserError: from ``encode``, or because the cache cannot be written.
    """
    if not cache or not rows:
        return _encode_all(rows, encode)
    key = encoding_fingerprint(rows, fingerprint)
    folder = cache_folder() / "encoded" / key
    known = read_examples(folder)
    if known.state == "absent":
        with locked(folder.with_suffix(".lock"), "encoding the same rows"):
            known = read_examples(folder)
            if known.state == "absent":
                encoded = _encode_all(rows, encode)
                write_examples(folder, encoded.examples, encoded.skipped)
                return encoded
    if known.state == "uncachable":
        return _encode_all(rows, encode)
    return _from_cache(known)


def encoding_fingerprint(rows: Sequence[Row], fingerprint: str) -> str:
    """SHA-256 in hexadecimal over the rows, ``fingerprint``, the version and the code that encodes."""
    return rows_fingerprint(rows, fingerprint, _version(), _code_digest())


def _encode_all(rows: Sequence[Row], encode: Encode) -> Encoded:
    examples: list[Example] = []
    skipped: list[Skip] = []
    for row in rows:
        fault("encode")
        result = encode(row)
        if isinstance(result, Skip):
            skipped.append(result)
        else:
            examples.append(result)
    return Encoded(examples, skipped)


def _from_cache(known: Known) -> Encoded:
    return Encoded(known.examples, known.skipped)


def _version() -> str:
    try:
        return version("tunesmith")
    except PackageNotFoundError:
        return "unknown"


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Of the rooms whose code decides what an example is, so that a change there is seen at once."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for room in ("data", "tasks"):
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
