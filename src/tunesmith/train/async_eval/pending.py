"""What a run that is evaluated beside training knows of whoever scores."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tunesmith.errors import UserError
from tunesmith.train.async_eval import mailbox
from tunesmith.train.resume.state import State

EVERY = 0.5
"""Seconds between two looks for results while training goes on."""


class Scorer(Protocol):
    """Whoever scores; asked by the first process alone."""

    def check(self) -> None:
        """Make sure that somebody scores.

        Raises:
            UserError: if nobody does, and nothing can be done about it.
        """
        ...

    def scored(self) -> None:
        """Take note of a result."""
        ...


class ScorerUnavailable(Exception):
    """Nobody scores what was handed over.

    Attributes:
        state: of the run.
        trouble: what is wrong.
    """

    def __init__(self, state: State, trouble: UserError) -> None:
        super().__init__(str(trouble))
        self.state, self.trouble = state, trouble


@dataclass(slots=True)
class Handover:
    """What the first process knows of the looks under way.

    Attributes:
        run_dir: of the run.
        scorer: whoever scores.
        ahead: how many looks may be under way before training waits.
        awaited: the oldest step that is not judged yet.
    """

    run_dir: Path
    scorer: Scorer
    ahead: int
    awaited: int | None = None
    _next: float = field(default=0.0)

    def arrived(self) -> bool:
        """Whether the oldest result is there, looked at once in a while."""
        now = time.monotonic()
        if self.awaited is None or now < self._next:
            return False
        self._next = now + EVERY
        return mailbox.is_scored(self.run_dir, self.awaited)
