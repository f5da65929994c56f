"""The base of every section of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section: immutable and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
