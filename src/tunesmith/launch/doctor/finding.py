"""What a check of the machine found: one line with its remedy."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["ok", "warning", "problem", "unknown"]

_WORST_FIRST: tuple[State, ...] = ("problem", "warning", "unknown", "ok")
assert set(_WORST_FIRST) == set(get_args(State))


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing that was looked at.

    Attributes:
        subject: what it is about, one or two words: ``disk``, ``compiler``.
        state: ``problem`` if a run would fail or lose something, ``warning`` if it would suffer,
            ``unknown`` if it could not be looked at.
        what: what was seen, lower case, with figures.
        remedy: what to do about it; empty where nothing is to be done.
    """

    subject: str
    state: State
    what: str
    remedy: str = ""


def worst(findings: Sequence[DoctorFinding]) -> State:
    """The worst state among the findings; ``ok`` if there are none."""
    return min((found.state for found in findings), key=_WORST_FIRST.index, default="ok")


def findings_text(findings: Sequence[DoctorFinding], *, width: int = 100) -> str:
    """The findings as aligned lines, the worst first, each remedy below its own; then a line of counts.

    Args:
        findings: in any order; those of one state keep theirs.
        width: columns of the text.
    """
    ordered = sorted(findings, key=lambda found: _WORST_FIRST.index(found.state))
    label = max((len(found.state) for found in ordered), default=0)
    subject = max((len(found.subject) for found in ordered), default=0)
    lines = []
    for found in ordered:
        lines += _wrapped(f"{found.state:{label}}  {found.subject:{subject}}  ", found.what, width)
        if found.remedy:
            lines += _wrapped(" " * (label + subject + 4) + "-> ", found.remedy, width)
    return "\n".join([*lines, "", _counts(ordered)])


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        max(width, len(head) + 30),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _counts(findings: Sequence[DoctorFinding]) -> str:
    numbers = {state: sum(found.state == state for found in findings) for state in _WORST_FIRST}
    named = [
        f"{number} {state}{'s' if number != 1 and state in ('problem', 'warning') else ''}"
        for state, number in numbers.items()
        if number
    ]
    return ", ".join(named) or "nothing was looked at"
