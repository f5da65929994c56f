"""Names of metrics with what they are measured on: ``general/loss``, ``worst/f1``, ``f1[topic=art]``.

A class in brackets belongs to the metric itself: ``f1[spam]``, of a slice ``f1[spam][topic=art]``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

WORST = "worst"
"""Before a metric's name: its worst value over all slices."""
HARNESS = "harness"
"""Before a task of lm-evaluation-harness and its metric."""
HUB_PREFIXES = ("hub:", "evaluate:")
"""``hub:NAME@COMMIT`` and ``evaluate:NAME@COMMIT`` mean the same."""
USER_PREFIX = "python:"
"""Before the module and the name of a user's own metric."""
_USER = re.compile(
    r"python:(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*)(?::(?P<better>min|max))?"
)
_SLICE = re.compile(
    r"(?P<metric>[^\[\]]+(?:\[[^\[\]=]+\])?)\[(?P<column>[^=\[\]]+)=(?P<value>.*)\]", re.DOTALL
)
_OF_CLASS = re.compile(r"(?P<metric>[a-z0-9_]+)\[(?P<label>[^\[\]=]+)\]")


class Measured(NamedTuple):
    """A metric and what it is measured on; ``where`` is empty for the whole of the evaluation set.

    Attributes:
        where: name of a further evaluation set, ``worst``, or a slice: ``[topic=art]``.
        metric: name as it stands in the table of metrics.
    """

    where: str
    metric: str


class UserPart(NamedTuple):
    """A user's own metric: module, name there, and which way is better where it is said."""

    module: str
    attribute: str
    better: str | None


class Slice(NamedTuple):
    """A metric over the rows with one value of a column."""

    metric: str
    column: str
    value: str


def slice_of(name: str) -> Slice | None:
    """Take ``f1[topic=art]`` apart; ``None`` if it is no name of a slice."""
    match = _SLICE.fullmatch(name)
    return None if match is None else Slice(match["metric"], match["column"], match["value"])


def class_part(metric: str) -> tuple[str, str] | None:
    """Take ``f1[spam]`` apart, a metric and a class's label; ``None`` if it is no such name."""
    match = _OF_CLASS.fullmatch(metric)
    return None if match is None else (match["metric"], match["label"])


def user_part(metric: str) -> UserPart | None:
    """Take ``python:mine:cost`` or ``python:mine:regret:min`` apart; ``None`` if it is neither."""
    match = _USER.fullmatch(metric)
    return None if match is None else UserPart(match["module"], match["attribute"], match["better"])


def split_name(name: str) -> Measured:
    """Take ``set/metric`` or ``metric[column=value]`` apart; names of the hub have strokes of their own."""
    part = slice_of(name)
    if part is not None:
        return Measured(slice_part(part.column, part.value), part.metric)
    head, bracket, label = name.partition("[")
    if name.startswith(HUB_PREFIXES) or "/" not in head:
        return Measured("", name)
    where, _, metric = head.partition("/")
    return Measured(where, f"{metric}{bracket}{label}")


def bare_metric(name: str) -> str:
    """The metric without what it is measured on: ``loss`` of ``general/loss`` and of ``loss[topic=art]``."""
    return split_name(name).metric


def slice_name(metric: str, column: str, value: str) -> str:
    """``f1[topic=art]``: a metric over the rows with one value of a column."""
    return f"{metric}{slice_part(column, value)}"


def slice_part(column: str, value: str) -> str:
    """``[topic=art]``: the rows with one value of a column."""
    return f"[{column}={value}]"
