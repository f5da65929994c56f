"""Marked places in a text: a list of ``{start, end, label}``, in characters, ``end`` behind the last one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.data.map.drawing import MOST_CHARACTERS, Drawing
from tunesmith.data.map.kind import Cell, Found, Kind, Spell, as_json
from tunesmith.data.map.normalise import BadRow, comparable, to_text
from tunesmith.recipe.tasks.spec import Field

Span = dict[str, Any]
_KEYS = ("start", "end", "label")


def _read(cell: Cell) -> Found:
    spans = [_span(item, f"span {number} of `{cell.column}`") for number, item in enumerate(cell.items(), 1)]
    return Found(sorted(spans, key=_place))


def _span(item: Any, what: str) -> Span:
    if isinstance(item, list | tuple) and len(item) == len(_KEYS):
        item = dict(zip(_KEYS, item, strict=True))
    if not isinstance(item, Mapping) or not set(_KEYS) <= item.keys():
        raise BadRow("malformed", f"{what} is not `{{start, end, label}}`")
    start, end = item["start"], item["end"]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in (start, end)):
        raise BadRow("malformed", f"{what} begins at {start!r} and ends at {end!r}, not at whole numbers")
    if not 0 <= start < end:
        raise BadRow("malformed", f"{what} begins at {start} and ends at {end}, which holds no character")
    label = comparable(to_text(item["label"], f"label` of `{what}"))
    if not label:
        raise BadRow("malformed", f"{what} has a blank label")
    return {"start": start, "end": end, "label": label}


def _place(span: Span) -> tuple[int, int, str]:
    return span["start"], span["end"], span["label"]


def _check(value: list[Span], field: Field, of: str, others: Mapping[str, Any]) -> None:
    text = others.get(of)
    for span in value:
        if text is not None and span["end"] > len(text):
            raise BadRow(
                "malformed",
                f"a span of `{field.name}` ends at {span['end']}, and `{of}` has {len(text)} characters",
            )


def _spell(value: list[Span], how: Spell) -> str:
    return as_json([_place(span) for span in value])


def _classes(value: list[Span]) -> list[str]:
    return [span["label"] for span in value]


def _stratum(value: list[Span]) -> str:
    return "; ".join(sorted({span["label"] for span in value}))


def _draw(value: list[Span], about: Any) -> Drawing | None:
    """The text, marked; of spans that overlap the first."""
    if not isinstance(about, str):
        return None
    marks, done = [], 0
    for span in value:
        if span["start"] < done or span["start"] >= MOST_CHARACTERS:
            continue
        marks += [(about[done : span["start"]], ""), (about[span["start"] : span["end"]], span["label"])]
        done = span["end"]
    rest = about[done : max(done, MOST_CHARACTERS)]
    marks.append((rest + "…" * (done + len(rest) < len(about)), ""))
    return Drawing(marks=tuple(mark for mark in marks if mark[0]))


SPANS = Kind(
    name="spans",
    read=_read,
    spell=_spell,
    show=as_json,
    check=_check,
    classes=_classes,
    stratum=_stratum,
    draw=_draw,
)
