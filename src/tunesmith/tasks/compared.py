"""What a metric compares: predictions with references, or what else is known of each example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tunesmith.metrics.match import label_match
from tunesmith.metrics.table import METRICS
from tunesmith.tasks.task import Scored


def compared(metric: str, scored: Sequence[Scored]) -> tuple[list[Any], list[Any]]:
    """The two sides that ``metrics.compute`` and ``metrics.statistics`` take for a metric.

    For metrics of kind ``given`` the first side is each example's own value, not a number where it has none;
    calibration compares confidences with hits.
    """
    spec = METRICS.get(metric)
    if spec is None or spec.kind != "given":
        return [one.prediction for one in scored], [one.reference for one in scored]
    if metric == "ece":
        hits = [label_match(one.prediction, one.reference) for one in scored]
        return [one.given.get("confidence", math.nan) for one in scored], hits
    return [one.given.get(metric, math.nan) for one in scored], [None] * len(scored)
