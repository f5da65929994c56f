"""A mistake found in a recipe, where it is, and how a list of them becomes one message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tunesmith.errors import UserError
from tunesmith.redact import redact_settings

SHOWN = 20
_EXCERPT = 96


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something is written.

    Attributes:
        name: the file as the user named it, or ``override `key=value` ``.
        folder: what relative paths written here are relative to.
        line: 1-based; 0 for an override, which has no lines.
        column: 1-based, in characters.
        width: characters to underline.
        text: the source line.
    """

    name: str
    folder: Path = field(default_factory=Path)
    line: int = 0
    column: int = 0
    width: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}" if self.line else self.name

    def excerpt(self) -> str:
        """The source line with carets under the place, cut to a readable length."""
        if not self.line or not self.text.strip():
            return ""
        start = max(0, self.column - _EXCERPT // 2) if self.column > _EXCERPT - 16 else 0
        shown = "".join(letter if letter.isprintable() else " " for letter in self.text[start:][:_EXCERPT])
        at = self.column - 1 - start
        carets = "^" * max(1, min(self.width, len(shown) - at))
        number = str(self.line)
        return f"  {number} | {shown.rstrip()}\n  {' ' * len(number)} | {' ' * at}{carets}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake: what, where, the way out.

    Attributes:
        what: the mistake.
        spot: where it is written.
        hint: the way out.
        secret: whether the source line is kept out of the message.
        key: dotted path of what does not fit the schema.
    """

    what: str
    spot: Spot
    hint: str = ""
    secret: bool = False
    key: str = ""

    def error(self) -> UserError:
        """This finding alone as the exception a user meets."""
        excerpt = "" if self.secret else redact_settings(self.spot.excerpt())
        where, hint = redact_settings(str(self.spot)), redact_settings(self.hint)
        return UserError(redact_settings(self.what), where=where, hint=hint, source=excerpt)


class RecipeTrouble(Exception):
    """Carries findings out of a reading that cannot go on; never seen by a user."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(finding.what for finding in findings))
        self.findings = findings


def to_error(findings: Iterable[Finding]) -> UserError:
    """Join findings into one exception, in the order of the file; the first ``SHOWN`` are spelt out."""
    unique = _tidy(findings)
    assert unique, "an error without a finding"
    if len(unique) == 1:
        return unique[0].error()
    blocks = [str(finding.error()) for finding in unique[:SHOWN]]
    more = f", the first {SHOWN} shown" if len(unique) > SHOWN else ""
    return UserError("\n\n".join([*blocks, f"{len(unique)} mistakes{more}"]))


def _tidy(findings: Iterable[Finding]) -> list[Finding]:
    """Drop repetitions, and whatever else is said about a line that holds a secret; sort by place."""
    unique = list(dict.fromkeys(findings))
    hidden = {(finding.spot.name, finding.spot.line) for finding in unique if finding.secret}
    kept = [one for one in unique if one.secret or (one.spot.name, one.spot.line) not in hidden]
    files = list(dict.fromkeys(finding.spot.name for finding in kept))
    return sorted(kept, key=lambda one: (files.index(one.spot.name), one.spot.line, one.spot.column))


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
