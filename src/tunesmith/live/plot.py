"""A curve with its band as text: two by four dots a character. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import numbers
from tunesmith.report.charts.axis import Axis, value_axis

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the Braille dots, by row and column."""

LABEL = 8
"""Characters of the margin on the left."""


@dataclass(frozen=True, slots=True)
class PlotRow:
    """One row of characters: its label, and pieces of text with a style: ``line``, ``band`` or ``goal``."""

    label: str
    pieces: tuple[tuple[str, str], ...]


def plot(
    line: Sequence[tuple[float, float]],
    *,
    width: int,
    height: int,
    bands: Sequence[tuple[float, float, float]] = (),
    goal: float | None = None,
    last_step: float = 1.0,
    joined: bool = True,
) -> list[PlotRow]:
    """Draw a curve over steps from 0.

    Args:
        line: ``(step, value)``; values that are not finite leave a gap.
        width: characters in all, margin included.
        height: rows.
        bands: ``(step, low, high)``.
        goal: value of a level line.
        last_step: at the right edge.
        joined: draw a line from point to point.
    """
    columns, rows = 2 * max(1, width - LABEL), 4 * height
    values = [v for _, v in line] + [v for _, low, high in bands for v in (low, high)]
    y = value_axis([*values, *([goal] if goal is not None else [])], start=rows - 1, end=0)
    x = Axis(0.0, max(last_step, 1.0), 0, columns - 1)
    layers = {
        "goal": _goal(goal, y, columns),
        "band": _band(bands, x, y, joined=joined),
        "line": _line(line, x, y, joined=joined),
    }
    labels = _labels(y, height)
    return [PlotRow(labels[row], _pieces(layers, row, columns // 2)) for row in range(height)]


def _labels(y: Axis, height: int) -> list[str]:
    shown = {0: numbers.number(y.high), height - 1: numbers.number(y.low)}
    short = {
        row: text if len(text) < LABEL - 1 else f"{end:.1e}"
        for (row, text), end in zip(shown.items(), (y.high, y.low), strict=True)
    }
    return [short.get(row, "").rjust(LABEL - 2)[: LABEL - 2] + " ┤" for row in range(height)]


def _goal(goal: float | None, y: Axis, columns: int) -> set[tuple[int, int]]:
    if goal is None:
        return set()
    row = round(y.pixel(goal))
    return {(column, row) for column in range(0, columns, 4)}


def _band(
    bands: Sequence[tuple[float, float, float]], x: Axis, y: Axis, *, joined: bool
) -> set[tuple[int, int]]:
    finite = [band for band in bands if all(map(math.isfinite, band))]
    dots = set()
    if not joined:
        for step, low, high in finite:
            column = round(x.pixel(step))
            dots |= {(column, row) for row in range(round(y.pixel(high)), round(y.pixel(low)) + 1, 2)}
        return dots
    for (s0, l0, h0), (s1, l1, h1) in zip(finite, finite[1:] or finite, strict=False):
        first, last = round(x.pixel(s0)), round(x.pixel(s1))
        for column in range(first, last + 1):
            share = (column - first) / max(1, last - first)
            low, high = y.pixel(l0 + share * (l1 - l0)), y.pixel(h0 + share * (h1 - h0))
            dots |= {(column, row) for row in range(round(high), round(low) + 1) if (row + column) % 2 == 0}
    return dots


def _line(line: Sequence[tuple[float, float]], x: Axis, y: Axis, *, joined: bool) -> set[tuple[int, int]]:
    dots = set()
    before: tuple[float, float] | None = None
    for step, value in line:
        if not math.isfinite(value):
            before = None
            continue
        here = (x.pixel(step), y.pixel(value))
        from_x, from_y = (joined and before) or here
        pieces = max(1, round(max(abs(here[0] - from_x), abs(here[1] - from_y))))
        for piece in range(pieces + 1):
            share = piece / pieces
            dots.add((round(from_x + share * (here[0] - from_x)), round(from_y + share * (here[1] - from_y))))
        before = here
    return dots


def _pieces(layers: dict[str, set[tuple[int, int]]], row: int, columns: int) -> tuple[tuple[str, str], ...]:
    pieces: list[tuple[str, str]] = []
    for column in range(columns):
        text, style = _cell(layers, row, column)
        if pieces and pieces[-1][1] == style:
            pieces[-1] = (pieces[-1][0] + text, style)
        else:
            pieces.append((text, style))
    return tuple(pieces)


def _cell(layers: dict[str, set[tuple[int, int]]], row: int, column: int) -> tuple[str, str]:
    """One character shows one layer, the foremost that has a dot there."""
    for style in ("line", "goal", "band"):
        bits = 0
        for down in range(4):
            for right in range(2):
                if (2 * column + right, 4 * row + down) in layers[style]:
                    bits |= DOTS[down][right]
        if bits:
            return chr(0x2800 + bits), style
    return " ", ""
