"""Axes, thinning and drawing: properties that hold for every curve."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.report.charts.axis import Axis, step_axis, tick_labels, ticks, value_axis
from tunesmith.report.charts.curves import BOTTOM, LEFT, RIGHT, TOP, Chart, draw, dumbbell
from tunesmith.report.charts.downsample import downsample, smooth

NUMBERS = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(NUMBERS, min_size=1, max_size=50))
def test_every_value_lies_inside_its_axis(values) -> None:
    axis = value_axis(values, start=200, end=10)
    assert axis.low < axis.high
    assert all(10 <= axis.pixel(value) <= 200 for value in values)
    assert all(axis.low <= value <= axis.high for value in values)


@given(st.lists(NUMBERS, min_size=2, max_size=20, unique=True))
def test_larger_values_never_lie_lower(values) -> None:
    axis = value_axis(values, start=200, end=10)
    pixels = [axis.pixel(value) for value in sorted(values)]
    assert pixels == sorted(pixels, reverse=True)


@given(st.lists(NUMBERS, min_size=1, max_size=50))
def test_ticks_are_few_and_inside(values) -> None:
    axis = value_axis(values, start=200, end=10)
    marks = ticks(axis, count=4)
    assert len(marks) <= 12
    assert all(axis.low - 1e-9 * abs(axis.low) <= mark <= axis.high + 1e-9 * abs(axis.high) for mark in marks)
    labels = tick_labels(marks)
    assert len(labels) == len(marks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 0.9, ["0.00", "0.25", "0.50", "0.75"]),
        (0.0, 3.3, ["0", "1", "2", "3"]),
        (0.0, 1.08e-3, ["0", "5e−4", "1e−3"]),
        (-1.0, 1.0, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]),
        (0.0, 300_000.0, ["0", "100k", "200k", "300k"]),
        (-150_000.0, 0.0, ["−150k", "−100k", "−50k", "0"]),
        (0.0, 10_000.0, ["0", "2,500", "5,000", "7,500", "10,000"]),
    ],
)
def test_tick_labels(low: float, high: float, labels) -> None:
    assert tick_labels(ticks(Axis(low, high, 0, 1), count=4)) == labels


def test_logarithmic_ticks_fit_the_margin_too() -> None:
    axis = value_axis([1.1, 290_000.0], start=200, end=10)
    assert tick_labels(ticks(axis, count=4)) == ["1", "10", "100", "1k", "10k", "100k"]


def test_fractions_stay_linear_and_wide_ranges_do_not() -> None:
    assert not value_axis([0.001, 0.99], start=0, end=1).log
    assert value_axis([1.2, 900.0], start=0, end=1).log
    assert value_axis([0.0, 0.99], start=0, end=1).low == 0
    assert step_axis([], start=0, end=1).high == 1


@given(st.lists(ANY, min_size=0, max_size=3000), st.integers(min_value=4, max_value=300))
@settings(max_examples=60, deadline=None)
def test_thinning_keeps_ends_extremes_and_order(values, most: int) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = downsample(points, most=most)
    assert len(kept) <= most
    steps = [step for step, _ in kept]
    assert steps == sorted(set(steps))
    if points:
        assert steps[0] == 0
        assert steps[-1] == len(points) - 1
        finite = [value for value in values if math.isfinite(value)]
        left = [value for _, value in kept if math.isfinite(value)]
        assert not finite or min(left) == min(finite)
    if points and all(map(math.isfinite, values)):
        assert max(value for _, value in kept) == max(values)


def test_a_lone_broken_step_survives_thinning() -> None:
    points = [(float(step), math.nan if step == 777 else 1.0) for step in range(5000)]
    assert any(math.isnan(value) for _, value in downsample(points))


@given(st.lists(NUMBERS, min_size=1, max_size=200))
def test_smoothing_stays_between_the_extremes(values) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    smoothed = smooth(points)
    assert [step for step, _ in smoothed] == [step for step, _ in points]
    room = 1e-6 * max(1.0, *map(abs, values))
    assert all(min(values) - room <= value <= max(values) + room for _, value in smoothed)


def test_smoothing_does_not_lag_on_a_straight_line() -> None:
    points = [(float(step), 3.0 * step) for step in range(500)]
    assert all(math.isclose(y, 3 * x, abs_tol=1e-6) for x, y in smooth(points))


def points_of(svg: str, style: str) -> int:
    found = re.search(rf'<path class="{style}" d="([^"]*)"', svg)
    return len(re.findall("[ML]", found[1])) if found else 0


def test_a_chart_draws_what_it_is_given() -> None:
    line = [(0, 0.1), (20, 0.5), (40, 0.87)]
    bands = [(step, value - 0.05, value + 0.05) for step, value in line]
    svg = draw(
        Chart(
            name="f1", summary="From low to high.", line=line, dots=True, bands=bands, target=0.85, chosen=40
        ),
        last_step=40,
    )
    root = ET.fromstring(svg)
    assert root.find("title").text == "f1"
    assert root.find("desc").text == "From low to high."
    assert points_of(svg, "line") == 3
    assert points_of(svg, "band") == 6
    assert svg.count("<circle") == 3
    assert 'class="dot kept"' in svg
    assert "target 0.850" in svg
    assert "kept: step 40" in svg
    assert f'data-step="40" d="M{RIGHT:.1f} {TOP}V{BOTTOM}"' in svg


def test_a_gap_breaks_the_line_and_is_marked() -> None:
    line = [(1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0), (5, 2.5)]
    svg = draw(Chart(name="loss", summary="", line=line), last_step=5)
    drawn = re.search(r'<path class="line" d="([^"]*)"', svg)[1]
    assert re.sub(r"[^ML]", "", drawn) == "MML"
    assert svg.count('class="gap"') == 2
    assert "step 2: not a number" in svg


@given(st.lists(st.tuples(st.integers(0, 10_000), ANY), max_size=30), ANY, st.text(max_size=20))
@settings(max_examples=80, deadline=None)
def test_any_curve_is_well_formed_and_stays_in_its_frame(points, target: float, name: str) -> None:
    name = "".join(letter for letter in name if letter.isprintable())
    line = sorted({float(step): value for step, value in points}.items())
    goal = target if math.isfinite(target) else None
    svg = draw(Chart(name=name, summary=name, line=line, raw=line, target=goal, dots=True), last_step=10_000)
    root = ET.fromstring(svg)
    assert root.find("title").text == (name or None)
    for pair in re.findall(r'class="(?:line|raw)" d="([^"]*)"', svg):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", pair)]
        assert all(LEFT <= x <= RIGHT for x in numbers[::2])
        assert all(TOP <= y <= BOTTOM for y in numbers[1::2])


@pytest.mark.parametrize(
    ("before", "after", "bounds"), [(0.1, 0.9, [(0, 0.2), (0.8, 1)]), (25.0, 1.4, [(), ()])]
)
def test_dumbbells_are_well_formed(before, after, bounds) -> None:
    root = ET.fromstring(dumbbell(before, after, bounds))
    was, now = (float(circle.get("cx")) for circle in root.iter("circle"))
    assert (was < now) == (before < after)
