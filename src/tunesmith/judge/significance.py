"""How sure a difference is, from the best evidence at hand: pairs, else intervals, else none."""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist

from tunesmith.judge.measurement import History, Measurement, known
from tunesmith.judge.statistics.distributions import binomial_tail, normal_quantile, student_tail
from tunesmith.judge.statistics.paired import Paired
from tunesmith.metrics.names import HARNESS, WORST, split_name
from tunesmith.metrics.table import declared, direction, gain

_HALF = NormalDist().inv_cdf(0.975)


def pair_of(newer: Measurement, older: Measurement, metric: str) -> Paired | None:
    """The comparison of two measurements.

    The paired one if it was made; else one from the two intervals, as if they were independent, whose
    error ``sqrt(e1² + e2²)`` is larger; ``None`` if there are no intervals either.
    """
    made = newer.against(metric, older.step)
    ours, theirs = known(newer, metric), known(older, metric)
    if made is not None or ours is None or theirs is None:
        return made
    errors = [standard_error(one, metric) for one in (newer, older)]
    if errors[0] is None or errors[1] is None:
        return None
    error = (errors[0] ** 2 + errors[1] ** 2) ** 0.5
    difference, units = gain(metric, ours, theirs), min(_units(newer, metric), _units(older, metric))
    return Paired(metric=metric, against=older.step, gain=difference, error=error, units=units)


def standard_error(measurement: Measurement, metric: str) -> float | None:
    """Half of the 95 % interval over 1.96; ``None`` without an interval."""
    ends = measurement.intervals.get(metric)
    return None if ends is None else (ends[1] - ends[0]) / (2 * _HALF)


def _units(measurement: Measurement, metric: str) -> int:
    examples = measurement.seen(metric)
    return max(2, min(measurement.clusters or examples, examples))


def p_short(measurement: Measurement, metric: str, wanted: float) -> float | None:
    """Chance of a value as good as the measured one if the true value were just short of ``wanted``.

    For a proportion over examples that stand alone it is exact: the binomial tail of as many hits at a
    chance of ``wanted`` (Clopper and Pearson 1934), so the test is passed when the interval's lower end
    is. Else Student's t of the distance, in units of the interval's half on the side of ``wanted``.

    Returns:
        ``None`` if the value or its interval is not known.
    """
    value = known(measurement, metric)
    if value is None:
        return None
    where, bare = split_name(metric)
    spec = declared(bare) if where not in (WORST, HARNESS) else None
    if spec is not None and spec.proportion and measurement.clusters is None:
        rows = measurement.seen(metric)
        return binomial_tail(round(value * rows), rows, wanted)
    ends = measurement.intervals.get(metric)
    if ends is None:
        return None
    half = value - ends[0] if direction(metric) == "max" else ends[1] - value
    ahead = gain(metric, value, wanted)
    if half <= 0:
        return 0.0 if ahead > 0 else 1.0
    return student_tail(ahead / (half / _HALF), _units(measurement, metric) - 1)


def least_sure(measurement: Measurement, metric: str, wanted: float, chance: float) -> float | None:
    """The value that all examples would have to give for ``p_short`` to be at most ``chance``.

    Args:
        measurement: of a part of them, or of all.
        metric: its name.
        wanted: what the true value is asked to pass.
        chance: of an error.

    Returns:
        ``None`` if no value would do, or the interval is not known.
    """
    examples, rows = measurement.examples, measurement.of or measurement.examples
    spec = declared(metric)
    if spec is not None and spec.proportion and measurement.clusters is None:
        hits = bisect_left(range(rows + 1), -chance, key=lambda hits: -binomial_tail(hits, rows, wanted))
        return hits / rows if hits <= rows else None
    error = standard_error(measurement, metric)
    if error is None:
        return None
    ahead = normal_quantile(1 - chance) * error * math.sqrt(examples / rows)
    return wanted + ahead if direction(metric) == "max" else wanted - ahead


def look_number(history: History, metric: str) -> int:
    """How many times a rule has looked at a metric so far, this time included; at least 1."""
    return max(1, sum(known(one, metric) is not None for one in history))


def best_before(history: History, metric: str) -> Measurement | None:
    """The measurement with the best known value of a metric before the newest; the earliest of equals."""
    best = None
    for one in history[:-1]:
        value = known(one, metric)
        if value is not None and (best is None or gain(metric, value, best.metrics[metric]) > 0):
            best = one
    return best
