"""Sections about the end: the test split that no decision saw, and averages of weights that were tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith import numbers
from tunesmith.metrics.table import direction
from tunesmith.report.run_files import Record, RunFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRow:
    """One metric of the test split in words; ``better`` is ``None`` if there is no change to speak of."""

    name: str
    before: str
    after: str
    interval: str
    change: str
    chance: str
    better: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSplit:
    """The table of the test split, how many rows it is of, and whether decisions may have seen it."""

    examples: str
    seen: str
    rows: tuple[TestRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageRow:
    """An average of weights that was tried: its score, its gain over the best, whether it is used."""

    name: str
    metric: str
    score: str
    interval: str
    gain: str
    chance: str
    used: bool


def test_split(run: RunFiles) -> TestSplit | None:
    """The finished model on the test split, beside the baseline; ``None`` if there is none."""
    test = _mapping((run.result or {}).get("test"))
    metrics = _mapping(test.get("metrics"))
    if not metrics:
        return None
    return TestSplit(
        examples=numbers.number(test.get("examples")),
        seen=_seen(test),
        rows=tuple(_row(name, test) for name in metrics),
    )


def _seen(test: Record) -> str:
    before = test.get("told_before")
    steps = [str(step) for step in before] if isinstance(before, list) else []
    if not steps:
        return "rows that no decision saw, scored once, when everything was decided."
    at = f"step {steps[0]}" if len(steps) == 1 else f"steps {', '.join(steps)}"
    return (
        f"rows whose scores were told before, when the run had ended at {at}: whoever let it go on had seen "
        "them, so they are no longer unseen."
    )


def _row(name: str, test: Record) -> TestRow:
    was, now = (_number(_mapping(test.get(part)).get(name)) for part in ("baseline", "metrics"))
    change = now - was if was is not None and now is not None else None
    sign = 1 if direction(name) == "max" else -1
    return TestRow(
        name=name,
        before=numbers.number(was),
        after=numbers.number(now),
        interval=numbers.interval(_mapping(test.get("intervals")).get(name)),
        change=numbers.ABSENT if change is None else numbers.signed(change),
        chance=_chance(_mapping(_mapping(test.get("gains")).get(name))),
        better=sign * change > 0 if change else None,
    )


def averages(run: RunFiles) -> tuple[AverageRow, ...]:
    """Every average that was tried, used or not."""
    tried = _mapping((run.result or {}).get("average")).get("tried")
    found = [_mapping(one) for one in tried] if isinstance(tried, list) else []
    return tuple(_average(one) for one in found)


def _average(one: Record) -> AverageRow:
    against = _mapping(one.get("against_best"))
    metric = str(against.get("metric") or "loss")
    gain = _number(against.get("gain"))
    return AverageRow(
        name=str(one.get("name") or ""),
        metric=metric,
        score=numbers.number(_number(_mapping(one.get("metrics")).get(metric))),
        interval=numbers.interval(_mapping(one.get("intervals")).get(metric)),
        gain=numbers.ABSENT if gain is None else numbers.signed(gain),
        chance=_chance(against),
        used=one.get("used") is True,
    )


def _chance(pair: Record) -> str:
    return numbers.chance_named(_number(pair.get("p")))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Record:
    return value if isinstance(value, Mapping) else {}
