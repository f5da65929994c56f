"""What flows through the data pipeline: a row as read, and why one was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One sample in the terms of the task.

    Attributes:
        id: stable name, ``<file name>:<line or index>``, shown in messages and hashed in the log.
        fields: after mapping and normalisation: ``messages`` (a list of ``{"role", "content"}``) or
            ``text``; ``label`` (text), ``target`` (float), ``image`` (path, array or PIL image).
    """

    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Skip:
    """A row that was left out, and why: ``too_long``, ``no_loss``, ``empty``, ``malformed`` and so on."""

    id: str
    reason: str
    detail: str = ""
