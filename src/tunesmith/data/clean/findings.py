"""What cleaning found: counted, with examples, and judged by the recipe's policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.errors import UserError

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class CleanFinding:
    """A row that stands out.

    Attributes:
        id: the row's.
        place: path and line.
        detail: why, in words.
    """

    id: str
    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything found so far.

    Attributes:
        found: reason -> how many rows.
        dropped: reason -> how many of them were left out.
        examples: reason -> the first few.
    """

    found: Mapping[str, int]
    dropped: Mapping[str, int]
    examples: Mapping[str, tuple[CleanFinding, ...]]

    def with_more(self, reason: str, more: Sequence[CleanFinding], *, dropped: bool) -> Findings:
        """These findings and further ones."""
        shown = (*self.examples.get(reason, ()), *more)[:EXAMPLES]
        return replace(
            self,
            found={**self.found, reason: self.found.get(reason, 0) + len(more)},
            dropped={**self.dropped, reason: self.dropped.get(reason, 0) + (len(more) if dropped else 0)},
            examples={**self.examples, reason: shown} if shown else self.examples,
        )


NOTHING = Findings({}, {}, {})


def apply_policy(
    findings: Findings, reason: str, more: Sequence[CleanFinding], policy: str, what: str, hint: str = ""
) -> Findings:
    """Record further findings as the policy says.

    Args:
        findings: those so far.
        reason: the key in the report, and the policy's name in the recipe.
        more: what was found now.
        policy: ``drop``, ``keep`` or ``error``.
        what: what such rows are, in the plural.
        hint: the way out, if it is not to drop them.

    Raises:
        UserError: something was found, and the policy is ``error``.
    """
    if more and policy == "error":
        lines = "\n".join(f"  {each.place}: {each.detail}" for each in more[:EXAMPLES])
        rest = f"\n  and {len(more) - EXAMPLES} more" if len(more) > EXAMPLES else ""
        raise UserError(
            f"{what}: {len(more)}",
            more[0].place,
            hint or f"mend the data, or set `data.clean.{reason}: drop`",
            lines + rest,
        )
    return findings.with_more(reason, more, dropped=policy == "drop")
