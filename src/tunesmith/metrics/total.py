"""A sum that does not depend on the order of its terms."""

from __future__ import annotations

import math
from collections.abc import Sequence


def total(values: Sequence[float]) -> float:
    """Sum, rounded once at the end, so that one process and several give the same number.

    Non-finite terms, and sums beyond the range of a float, give what ordinary addition gives.
    """
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return float(sum(values))
