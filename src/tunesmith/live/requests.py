"""Ask a run for something, and wait until it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.checkpoint.plain_file import read_plain, refuse_closed
from tunesmith.checkpoint.requests import Wish, acknowledge, request
from tunesmith.errors import UserError
from tunesmith.live.liveness import liveness_of

LOOK = 0.2
LAST_WORDS = 20.0


def ask_and_wait(run_dir: Path, wish: Wish, seconds: float) -> bool:
    """Ask, and wait for the answer.

    Args:
        run_dir: of a run that is going on, here or on another machine.
        wish: what to ask for.
        seconds: the longest wait; 0 does not wait.

    Returns:
        Whether it is done.

    Raises:
        UserError: if no run is going on there, or it ended without doing it.
    """
    refuse_idle(run_dir)
    path = request(run_dir, wish)
    deadline = time.monotonic() + seconds
    while path.exists() and time.monotonic() < deadline:
        time.sleep(min(LOOK, seconds))
        over = liveness_of(run_dir, result_in(run_dir)).phase in ("ended", "lost")
        if over and not _goes(path, LAST_WORDS):
            acknowledge(run_dir, wish)
            raise UserError("the run ended without answering", str(run_dir), "see its log and `result.json`")
    return not path.exists()


def _goes(path: Path, seconds: float) -> bool:
    """Whether a file goes away in time: a run answers after its result, when its report is written."""
    deadline = time.monotonic() + seconds
    while path.exists() and time.monotonic() < deadline:
        time.sleep(LOOK)
    return not path.exists()


def refuse_idle(run_dir: Path) -> None:
    """Make sure that somebody is there to be asked.

    Raises:
        UserError: if not.
    """
    refuse_closed(run_dir)
    if not run_dir.is_dir():
        raise UserError("there is no such folder", str(run_dir), "name a run directory, such as runs/gpt_sft")
    life = liveness_of(run_dir, result_in(run_dir))
    if life.phase not in ("running", "silent"):
        raise UserError(
            f"no run is going on there: it {life.told}" if life.phase != "lost" else life.told,
            str(run_dir),
            "start it with the command that began it; `tunesmith watch RUN` shows how it stands",
        )


def result_in(run_dir: Path) -> Mapping[str, Any] | None:
    """``result.json``, if it is there and whole."""
    try:
        found = json.loads(read_plain(run_dir / "result.json"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
