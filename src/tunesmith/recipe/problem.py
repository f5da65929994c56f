"""A mistake known by its place in the recipe's tree; ``load`` turns it into a finding in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One impossible combination.

    Attributes:
        path: where it stands, e.g. ``("stop", 0, "target", "accuracy")``; need not exist in the file.
        what: the mistake, one sentence.
        hint: the way out.
        at: whether the key or the value is to be underlined.
    """

    path: tuple[str | int, ...]
    what: str
    hint: str
    at: Literal["key", "value"] = "value"
