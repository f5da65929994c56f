"""Whether whoever scores a run is alone: it has ended, or nobody trains any more."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.checkpoint.lock import owner_of
from tunesmith.errors import UserError
from tunesmith.prepare.base_model import read_object

ENDED = ("completed", "stopped")
OWNER = 10.0
"""Seconds between two looks for whoever trains."""


def has_ended(run_dir: Path) -> bool:
    """Whether a run has reached its end, so that nothing more is to be scored."""
    path = run_dir / "result.json"
    return path.exists() and read_object(path).get("status") in ENDED


@dataclass(slots=True)
class TrainerLiveness:
    """Whether nobody has trained for long.

    Attributes:
        run_dir: of the run.
        deadline: seconds without an owner.
    """

    run_dir: Path
    deadline: float
    _looked: float = field(default_factory=time.monotonic)
    _trained: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Look once in a while.

        Raises:
            UserError: if nobody has held the run directory for as long as the deadline.
        """
        now = time.monotonic()
        if now - self._looked < min(OWNER, self.deadline / 4):
            return
        self._looked = now
        if owner_of(self.run_dir) is not None:
            self._trained = now
        elif now - self._trained > self.deadline:
            raise UserError(
                f"nobody has trained here for {now - self._trained:.0f} s (`run.deadline`)",
                str(self.run_dir),
                "start the run again, and this command beside it; all that was scored is kept",
            )
