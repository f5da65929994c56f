"""What flows through the data pipeline: a row as read, and why one was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.recipe.tasks.spec import RowSchema


@dataclass(frozen=True, slots=True)
class Row:
    """One sample in the terms of the task.

    Attributes:
        id: stable name, ``<file name>:<line or index>``, shown in messages and hashed in the log.
        fields: after mapping and normalisation, by the names that the task declares, each value as its kind's
            file in ``data/kinds`` reads it. Optional fields may be absent.
        schema: which fields are inputs and which are targets, and of which kind each is.
    """

    id: str
    fields: Mapping[str, Any]
    schema: RowSchema = field(default=RowSchema(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Skip:
    """A row that was left out, and why: ``too_long``, ``no_loss``, ``empty``, ``malformed`` and so on."""

    id: str
    reason: str
    detail: str = ""
