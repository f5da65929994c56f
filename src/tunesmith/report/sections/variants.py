"""The table that compares the variants of a run; it stands in the page of their parent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tunesmith import numbers
from tunesmith.metrics.table import direction
from tunesmith.report.run_files import RunFiles
from tunesmith.report.sections.slices import is_slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One run among several.

    Attributes:
        name: the variant's.
        link: to its page, empty if its folder is not known.
        metrics: value and interval, in the order of the columns.
        share: length of the bar, 0 to 100.
        parameters: how many were trained.
        steps: how many it took.
        seconds: how long it took.
        best: whether none is better by the metric that decides.
    """

    name: str
    link: str
    metrics: tuple[tuple[str, str], ...]
    share: int
    parameters: str
    steps: str
    seconds: str
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """The table: its metric columns, the one that decides first, and its rows."""

    metric: str
    columns: tuple[str, ...]
    rows: tuple[Variant, ...]


def variants(run: RunFiles) -> Variants | None:
    """The comparison of ``variants.json``, in the order in which the variants ran."""
    if run.variants is None:
        return None
    metric = str(run.variants.get("metric", "loss"))
    found = [row for row in run.variants.get("variants") or () if isinstance(row, Mapping)]
    measured = [str(name) for row in found for name in row.get("metrics") or {}]
    columns = tuple(dict.fromkeys([metric, *(name for name in measured if not is_slice(name))]))
    values = [
        value for row in found if isinstance(value := (row.get("metrics") or {}).get(metric), int | float)
    ]
    first = (max if direction(metric) == "max" else min)(values, default=None)
    most = max((abs(value) for value in values), default=0.0)
    rows = tuple(_variant(row, columns, run.run_dir, first, most) for row in found)
    return Variants(metric=metric, columns=columns, rows=rows)


def _variant(
    row: Mapping[str, Any], columns: tuple[str, ...], parent: Path, first: Any, most: float
) -> Variant:
    metrics, bounds = row.get("metrics") or {}, row.get("intervals") or {}
    value = metrics.get(columns[0])
    size = abs(value) if isinstance(value, int | float) else None
    return Variant(
        name=str(row.get("name", "")),
        link=_link(str(row.get("dir") or ""), parent),
        metrics=tuple((numbers.number(metrics.get(n)), numbers.interval(bounds.get(n))) for n in columns),
        share=round(100 * size / most) if size is not None and most else 0,
        parameters=numbers.number(row.get("trained_parameters")),
        steps=numbers.number(row.get("steps")),
        seconds=numbers.duration(row.get("seconds")),
        best=size is not None and value == first,
    )


def _link(written: str, parent: Path) -> str:
    """A relative link to the variant's page, so that the whole folder can be moved or sent.

    ``written`` is absolute, or relative to the parent, or relative to the working directory.
    """
    if not written:
        return ""
    places = [parent / written, Path(written)]
    place = next((place for place in places if place.is_dir()), places[0])
    relative = os.path.relpath(place.absolute(), parent.absolute())
    return "./" + quote(Path(relative, "report.html").as_posix())
