"""Charts as SVG text: values in, markup out. Pure; the colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tunesmith import numbers
from tunesmith.report.charts.axis import Axis, step_axis, tick_labels, ticks, value_axis
from tunesmith.report.charts.downsample import Point

WIDTH, HEIGHT = 440, 236
LEFT, RIGHT, TOP, BOTTOM = 50, 426, 14, 196


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A verdict on the curve: its step, ``continue``, ``stop`` or ``unknown``, and the reason in words."""

    step: float
    decision: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart over optimiser steps.

    Attributes:
        name: what is drawn, e.g. ``exact_match``.
        summary: one sentence for those who cannot see the curve.
        line: the main curve.
        raw: a faint curve behind it (the values before smoothing).
        dots: mark each point of ``line``; the chosen one is marked in any case.
        joined: draw a line from point to point; between two looks nobody knows how it went.
        bands: ``(step, low, high)``, the 95 % intervals.
        target: value of the target line.
        chosen: step whose weights were kept.
        chosen_word: what that step is called.
        from_zero: let the value axis begin at 0.
        marks: the verdicts, drawn along the base line.
    """

    name: str
    summary: str
    line: Sequence[Point]
    raw: Sequence[Point] = ()
    dots: bool = False
    joined: bool = True
    bands: Sequence[tuple[float, float, float]] = ()
    target: float | None = None
    chosen: int | None = None
    chosen_word: str = "kept"
    from_zero: bool = False
    marks: Sequence[Mark] = ()


def draw(chart: Chart, *, last_step: float) -> Markup:
    """The chart as one ``<svg>`` element; ``last_step`` ends the step axis, the same for all charts."""
    x = step_axis([last_step, *(point[0] for point in chart.line)], start=LEFT, end=RIGHT)
    y = value_axis(_values(chart), start=BOTTOM, end=TOP)
    parts = [
        *_steps(x, y),
        *_target(chart.target, y),
        *_chosen(chart, x, y),
        *_band(chart.bands, x, y, joined=chart.joined),
        *_curve(chart.raw, x, y, "raw"),
        *_curve(chart.line, x, y, "line" if chart.joined else "line apart"),
        *_dots(chart, x, y),
        *_marks(chart.marks, x),
        *_gaps(chart.raw or chart.line, x),
    ]
    return Markup(
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" data-chart="{escape(chart.name)}"'
        f' data-x="{x.low},{x.high},{x.start},{x.end}"'
        f' data-y="{y.low},{y.high},{y.start},{y.end},{"log" if y.log else "linear"}">'
        f"<title>{escape(chart.name)}</title><desc>{escape(chart.summary)}</desc>{''.join(parts)}</svg>"
    )


def _values(chart: Chart) -> list[float]:
    values = [y for _, y in (*chart.line, *chart.raw)]
    values += [bound for _, low, high in chart.bands for bound in (low, high)]
    values += [0.0] if chart.from_zero else []
    return [*values, chart.target] if chart.target is not None else values


def grid(x: Axis, y: Axis, across: Sequence[float]) -> Iterable[str]:
    """Lines across with their labels, the base line, and labels below it at the marks ``across``."""
    marks = ticks(y, count=4)
    for mark, label in zip(marks, tick_labels(marks), strict=True):
        at = y.pixel(mark)
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{RIGHT}"/>'
        yield f'<text class="tick" x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
    yield f'<path class="base" d="M{LEFT} {BOTTOM}H{RIGHT}"/>'
    for mark, label in zip(across, tick_labels(across), strict=True):
        at = x.pixel(mark)
        anchor = "end" if at > RIGHT - 12 else "middle"
        yield f'<text class="tick" x="{at:.1f}" y="{BOTTOM + 17}" text-anchor="{anchor}">{label}</text>'


def _steps(x: Axis, y: Axis) -> Iterable[str]:
    yield from grid(x, y, [mark for mark in ticks(x, count=5) if mark == int(mark)])
    yield f'<text class="tick" x="{RIGHT}" y="{BOTTOM + 34}" text-anchor="end">step</text>'


def _target(target: float | None, y: Axis) -> Iterable[str]:
    if target is None:
        return
    at = y.pixel(target)
    below = at - TOP < 16
    yield f'<path class="target" d="M{LEFT} {at:.1f}H{RIGHT}"/>'
    yield (
        f'<text class="target-label" x="{LEFT + 4}" y="{at + 14 if below else at - 5:.1f}">'
        f"target {numbers.number(target)}</text>"
    )


def _chosen(chart: Chart, x: Axis, y: Axis) -> Iterable[str]:
    """A line at the step whose weights were kept; its label stands where the curve is not."""
    step = chart.chosen
    if step is None:
        return
    at, end = x.pixel(step), x.pixel(step) > (LEFT + RIGHT) / 2
    low = any(y.pixel(value) > (TOP + BOTTOM) / 2 for when, value in chart.line if when == step)
    yield f'<path class="chosen" data-step="{step}" d="M{at:.1f} {TOP}V{BOTTOM}"/>'
    yield (
        f'<text class="chosen-label" x="{at - 5 if end else at + 5:.1f}"'
        f' y="{TOP + 11 if low else BOTTOM - 6}" text-anchor="{"end" if end else "start"}">'
        f"{escape(chart.chosen_word)}: step {step}</text>"
    )


def _band(bands: Sequence[tuple[float, float, float]], x: Axis, y: Axis, *, joined: bool) -> Iterable[str]:
    finite = [band for band in bands if all(map(math.isfinite, band))]
    if len(finite) < 2 or not joined:
        for step, low, high in finite:
            yield f'<path class="whisker" d="M{x.pixel(step):.1f} {y.pixel(low):.1f}V{y.pixel(high):.1f}"/>'
        return
    there = [f"{x.pixel(step):.1f} {y.pixel(high):.1f}" for step, _, high in finite]
    back = [f"{x.pixel(step):.1f} {y.pixel(low):.1f}" for step, low, _ in reversed(finite)]
    yield f'<path class="band" d="M{"L".join([*there, *back])}Z"/>'


def _curve(points: Sequence[Point], x: Axis, y: Axis, style: str) -> Iterable[str]:
    path, pen_up = [], True
    for step, value in points:
        if not math.isfinite(value):
            pen_up = True
            continue
        path.append(f"{'M' if pen_up else 'L'}{x.pixel(step):.1f} {y.pixel(value):.1f}")
        pen_up = False
    if path:
        yield f'<path class="{style}" d="{"".join(path)}"/>'


def _dots(chart: Chart, x: Axis, y: Axis) -> Iterable[str]:
    bands = {step: (low, high) for step, low, high in chart.bands}
    for step, value in chart.line:
        kept = step == chart.chosen
        if not math.isfinite(value) or not (kept or chart.dots):
            continue
        between = f" ({numbers.interval(bands[step])})" if step in bands else ""
        yield (
            f'<circle class="dot{" kept" if kept else ""}" cx="{x.pixel(step):.1f}" cy="{y.pixel(value):.1f}"'
            f' r="{5 if kept else 3}"><title>step {step:g}: {numbers.number(value)}{between}</title></circle>'
        )


SHAPES = {"stop": "m-5 -5h10v10h-10z", "unknown": "m0 -6.5l6.5 6.5l-6.5 6.5l-6.5 -6.5z"}
"""A square and a diamond tell the decisions apart without colour; to go on is a small stroke."""


def _marks(marks: Sequence[Mark], x: Axis) -> Iterable[str]:
    for mark in marks:
        style = mark.decision if mark.decision in SHAPES else "continue"
        shape = SHAPES.get(style, "m0 -4v8")
        yield (
            f'<path class="mark {style}" data-verdict="{escape(mark.decision)}"'
            f' d="M{x.pixel(mark.step):.1f} {BOTTOM}{shape}">'
            f"<title>step {mark.step:g}: {escape(mark.text)}</title></path>"
        )


def _gaps(points: Sequence[Point], x: Axis) -> Iterable[str]:
    """A cross on the base line at every step whose value is no finite number."""
    for step, value in points:
        if not math.isfinite(value):
            at = x.pixel(step)
            yield (
                f'<path class="gap" d="M{at - 4:.1f} {BOTTOM - 4}l8 8m0 -8l-8 8">'
                f"<title>step {step:g}: {numbers.number(value)}</title></path>"
            )


def dumbbell(before: float, after: float, bounds: Sequence[Sequence[float]]) -> Markup:
    """Two dots on a small line, before and after, with their intervals as bars (``bounds`` in that order)."""
    spread = [before, after, *(bound for pair in bounds for bound in pair)]
    fraction = all(0 <= value <= 1 for value in spread)
    axis = Axis(0, 1, 6, 154) if fraction else value_axis(spread, start=6, end=154)
    parts = [f'<path class="base" d="M{axis.start} 14H{axis.end}"/>']
    for style, pair in zip(("was", "now"), bounds, strict=False):
        if len(pair) == 2:
            parts.append(
                f'<path class="{style}-bar" d="M{axis.pixel(pair[0]):.1f} 14H{axis.pixel(pair[1]):.1f}"/>'
            )
    parts.append(f'<circle class="was" cx="{axis.pixel(before):.1f}" cy="14" r="4.5"/>')
    parts.append(f'<circle class="now" cx="{axis.pixel(after):.1f}" cy="14" r="5.5"/>')
    return Markup(f'<svg class="dumbbell" viewBox="0 0 160 28" aria-hidden="true">{"".join(parts)}</svg>')
