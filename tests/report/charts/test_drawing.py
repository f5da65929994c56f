"""Drawings of rows in the page: nothing of a run directory becomes markup of its own."""

from __future__ import annotations

import math

import pytest

from tunesmith.report.charts.drawing import drawn_rows

DOT = "data:image/png;base64,AAAA"


def test_a_picture_with_boxes() -> None:
    drawing = {"width": 200, "height": 100, "picture": DOT, "boxes": [[1, 2, 30, 40, "<b>cat</b>"]]}
    text = str(drawn_rows({"r:1": {"seen": drawing}})["r:1"])
    assert '<svg viewBox="0 0 200 100"' in text
    assert f'<image href="{DOT}" width="200" height="100"/>' in text
    assert '<rect x="1" y="2" width="30" height="40"/>' in text
    assert "&lt;b&gt;cat&lt;/b&gt;" in text
    assert "<b>" not in text


def test_marks_and_curves() -> None:
    text = str(drawn_rows({"r": {"<i>": {"marks": [["<Ann>", "A&B"], [" met", ""]]}}})["r"])
    assert "<mark>&lt;Ann&gt;<small>A&amp;B</small></mark> met" in text
    assert "<figcaption>&lt;i&gt;</figcaption>" in text
    text = str(drawn_rows({"r": {"said": {"width": 100, "height": 20, "curve": [0, 1, -1]}}})["r"])
    assert 'd="M0.0 10.0L50.0 0.0L100.0 20.0"' in text


@pytest.mark.parametrize(
    "drawing",
    [
        None,
        [],
        {},
        {"width": 10, "height": 10},
        {"width": 10, "height": 10, "picture": 'data:image/png;base64,AA"onload="x'},
        {"width": 10, "height": 10, "picture": "https://example.org/a.png"},
        {"width": 10, "height": 10, "picture": "data:image/svg+xml;base64,AAAA"},
        {"width": math.inf, "height": 10, "picture": DOT},
        {"width": -1, "height": "10", "picture": DOT},
        {"width": 10, "height": 10, "boxes": ["five!", [1, 2]]},
        {"marks": ["ab", 3]},
        {"width": 10, "height": 10, "curve": [1]},
    ],
)
def test_what_is_no_drawing_is_left_out(drawing) -> None:
    assert drawn_rows({"r": {"it": drawing}, "s": 3}) == {}
