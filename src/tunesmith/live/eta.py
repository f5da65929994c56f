"""How fast a run goes, what it takes, and how long it may still take. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.report.run_files import RunFiles
from tunesmith.report.sections.cost import expected_end, pace

RECENT = 20
"""Steps over which the present speed is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """Where a run stands; ``None`` and 0 stand for what is not known.

    Attributes:
        step: optimiser steps done.
        last_step: at which the budget ends, at the pace so far; not known of a run that went beyond it.
        seconds: since its beginning.
        seconds_left: until the budget ends; a rule may stop earlier.
        step_seconds: of one step now, evaluations left out.
        tokens_per_second: now, evaluations left out.
        memory_bytes: at the last step, or the run's peak.
    """

    step: int
    last_step: int | None
    seconds: float
    seconds_left: float | None
    step_seconds: float | None
    tokens_per_second: float | None
    memory_bytes: float | None


def eta(run: RunFiles) -> Eta:
    """From the recipe's budgets and the pace so far."""
    now = pace(run)
    if now is None:
        started = sum(_number(record.get("seconds")) for record in run.evals)
        return Eta(
            step=0,
            last_step=None,
            seconds=started,
            seconds_left=None,
            step_seconds=None,
            tokens_per_second=None,
            memory_bytes=_memory(run),
        )
    last_step = expected_end(run, now)
    step_seconds, rate = _speed(run)
    left = max(0.0, now.at(last_step)[1] - now.seconds) if last_step is not None else None
    return Eta(
        step=now.step,
        last_step=last_step,
        seconds=now.seconds,
        seconds_left=left,
        step_seconds=step_seconds,
        tokens_per_second=rate,
        memory_bytes=_memory(run),
    )


def _speed(run: RunFiles) -> tuple[float | None, float | None]:
    """Seconds a step and tokens a second over the last steps, without the evaluations between them."""
    lines = run.train[-RECENT - 1 :]
    if len(lines) < 2:
        return None, None
    first, last = lines[0], lines[-1]
    evaluations = [r for r in run.evals if first["step"] <= r["step"] < last["step"]]
    measuring = sum(_number(record.get("seconds")) for record in evaluations if not record.get("beside"))
    seconds = _number(last.get("seconds")) - _number(first.get("seconds")) - measuring
    steps = last["step"] - first["step"]
    if seconds <= 0 or steps <= 0:
        return None, None
    tokens = _number(last.get("tokens")) - _number(first.get("tokens"))
    return seconds / steps, tokens / seconds if tokens > 0 else None


def _memory(run: RunFiles) -> float | None:
    used = (run.environment or {}).get("resources")
    known = [run.train[-1].get("memory_bytes")] if run.train else []
    known += [used.get("peak_rss_bytes")] if isinstance(used, Mapping) else []
    return next((value for value in map(_number, known) if value > 0), None)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
