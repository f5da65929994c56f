"""One self-contained page about a finished model and a file of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunesmith import numbers
from tunesmith.metrics.names import slice_of
from tunesmith.metrics.table import direction
from tunesmith.report.errors.remaining import remaining
from tunesmith.report.page import environment, packaged, policy
from tunesmith.report.sections.confusion import confusion_table
from tunesmith.report.sections.slices import is_slice
from tunesmith.tasks.task import Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One metric in words; ``part`` is the slice it is of."""

    name: str
    value: str
    interval: str
    part: str = ""
    worst: bool = False


def evaluation_page(content: Mapping[str, Any], scored: Sequence[Scored]) -> str:
    """The page: metrics with intervals, slices, confusion, and the errors.

    Args:
        content: of ``evaluation.json``.
        scored: each row.
    """
    metrics, intervals = content["metrics"], content["intervals"]
    left = [(numbers.phrase(reason), numbers.number(count)) for reason, count in content["left_out"].items()]
    found = content["confusion"]
    return str(
        environment()
        .get_template("evaluation.html.j2")
        .render(
            style=Markup(packaged("page.css")),
            policy=policy(),
            model=content["model"],
            data=content["data"],
            task=content["task"],
            rows=numbers.number(content["rows"]),
            left_out=left,
            notes=content["notes"],
            values=[_value(name, metrics, intervals) for name in metrics if not is_slice(name)],
            slices=_slices(metrics, intervals),
            confusion=confusion_table(found) if found else None,
            remaining=remaining(scored),
        )
    )


def _value(name: str, metrics: Mapping[str, float], intervals: Mapping[str, Any]) -> Value:
    return Value(
        name=name, value=numbers.number(metrics[name]), interval=numbers.interval(intervals.get(name))
    )


def _slices(metrics: Mapping[str, float], intervals: Mapping[str, Any]) -> list[tuple[str, list[Value]]]:
    """A table for each column and metric, the worst part first."""
    tables: dict[tuple[str, str], list[tuple[float, str, str]]] = {}
    for name, value in metrics.items():
        part = slice_of(name)
        if part is not None:
            sign = 1 if direction(part.metric) == "max" else -1
            order = math.inf if math.isnan(value) else sign * value
            tables.setdefault((part.metric, part.column), []).append((order, part.value, name))
    return [
        (
            f"{metric} by {column}",
            [
                Value(
                    name=metric,
                    part=part,
                    value=numbers.number(metrics[name]),
                    interval=numbers.interval(intervals.get(name)),
                    worst=place == 0,
                )
                for place, (_, part, name) in enumerate(sorted(parts))
            ],
        )
        for (metric, column), parts in tables.items()
    ]
