"""Points as SVG: one value over another. Pure; the colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tunesmith.report.charts.axis import Axis, ticks, value_axis
from tunesmith.report.charts.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, grid
from tunesmith.report.charts.downsample import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """What is drawn.

    Attributes:
        name: of the chart.
        summary: one sentence for those who cannot see it.
        points: ``(across, up)``, all finite.
        across: what the axis along the bottom shows.
        up: what the other one shows.
        diagonal: draw the line on which both are equal, else the one at height 0.
    """

    name: str
    summary: str
    points: Sequence[Point]
    across: str
    up: str
    diagonal: bool = False


def draw_scatter(chart: Scatter) -> Markup:
    """The chart as one ``<svg>`` element."""
    across = [point[0] for point in chart.points]
    up = [point[1] for point in chart.points]
    both = [*across, *up] if chart.diagonal else [*up, 0.0]
    x = _linear(across, LEFT, RIGHT)
    y = _linear(both, BOTTOM, TOP)
    dots = (
        f'<circle class="spot" cx="{x.pixel(a):.1f}" cy="{y.pixel(b):.1f}" r="2.6"/>' for a, b in chart.points
    )
    return Markup(
        f'<svg class="chart scatter" role="img" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' data-chart="{escape(chart.name)}">'
        f"<title>{escape(chart.name)}</title><desc>{escape(chart.summary)}</desc>"
        f"{''.join([*_grid(x, y, chart), _line(x, y, chart), *dots])}</svg>"
    )


def _linear(values: Sequence[float], start: float, end: float) -> Axis:
    """Never logarithmic: a residual is a difference."""
    axis = value_axis(values, start=start, end=end)
    return Axis(axis.low, axis.high, start, end)


def _line(x: Axis, y: Axis, chart: Scatter) -> str:
    if not chart.diagonal:
        return f'<path class="target" d="M{LEFT} {y.pixel(0):.1f}H{RIGHT}"/>'
    low, high = max(x.low, y.low), min(x.high, y.high)
    ends = f"M{x.pixel(low):.1f} {y.pixel(low):.1f}L{x.pixel(high):.1f} {y.pixel(high):.1f}"
    return f'<path class="target" d="{ends}"/>'


def _grid(x: Axis, y: Axis, chart: Scatter) -> Iterable[str]:
    yield from grid(x, y, ticks(x, count=5))
    yield f'<text class="tick" x="{RIGHT}" y="{BOTTOM + 34}" text-anchor="end">{escape(chart.across)}</text>'
    yield f'<text class="tick" x="{LEFT}" y="{BOTTOM + 34}">{escape(chart.up)}, upwards</text>'
