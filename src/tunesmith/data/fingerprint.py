"""Digests of rows: what tells two data sets apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tunesmith.data.kinds.table import KINDS
from tunesmith.data.map.digest import feed
from tunesmith.data.row import Row


def rows_fingerprint(rows: Iterable[Row], *more: str) -> str:
    """SHA-256 in hexadecimal over ids and fields of rows, in order, and over further texts.

    Files that rows name (pictures, recordings) count with their bytes, not with their place.
    """
    digest = hashlib.sha256()
    for text in more:
        feed(digest, text)
    for row in rows:
        feed(digest, row.id)
        kinds = row.schema.kinds
        for name in sorted(row.fields):
            value = row.fields[name]
            feed(digest, name)
            content = KINDS[kinds[name]].content if name in kinds else None
            if content is not None:
                digest.update(content(value))
            else:
                feed(digest, value)
    return digest.hexdigest()
