"""Fewer points that tell the same story: smoothing and thinning of long curves. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Point = tuple[float, float]


def smooth(points: Sequence[Point], *, share: float = 0.04) -> list[Point]:
    """Centred moving average over about ``share`` of the curve.

    The window shrinks on both sides alike towards the ends, so that the average neither lags behind
    the curve nor bends at its ends. Non-finite values are passed over.
    """
    finite = [point for point in points if math.isfinite(point[1])]
    sums = [0.0, *itertools.accumulate(y for _, y in finite)]
    reach = max(1, round(share * len(finite) / 2))
    smoothed = []
    for index, (x, _) in enumerate(finite):
        here = min(reach, index, len(finite) - 1 - index)
        smoothed.append((x, (sums[index + here + 1] - sums[index - here]) / (2 * here + 1)))
    return smoothed


def downsample(points: Sequence[Point], *, most: int = 600) -> list[Point]:
    """At most ``most`` points: first and last, and of each stretch between its lowest and highest.

    A spike of a single step is never lost. A non-finite value counts as the highest, so that the gap
    that it leaves in the curve stays too.
    """
    if len(points) <= most:
        return list(points)
    inner, stretches = points[1:-1], max(1, (most - 2) // 2)
    kept = [points[0]]
    for index in range(stretches):
        stretch = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        low, high = (
            choose(range(len(stretch)), key=lambda i: _order(stretch[i][1])) for choose in (min, max)
        )
        kept += [stretch[i] for i in sorted({low, high})]
    return [*kept, points[-1]]


def _order(value: float) -> float:
    return value if math.isfinite(value) else math.inf
