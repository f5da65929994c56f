"""Where numbers fall on a chart: ranges, round ticks, linear or logarithmic. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith import numbers

TINY, HUGE = 1e-30, 1e300
"""Beyond these, arithmetic on differences leaves the range of floating-point numbers."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels.

    Attributes:
        low: the value at ``start``.
        high: the value at ``end``; always above ``low``.
        start: pixel of ``low``.
        end: pixel of ``high``; smaller than ``start`` on a vertical axis, as SVG counts downwards.
        log: logarithmic; then ``low`` is above zero.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def pixel(self, value: float) -> float:
        """Where ``value`` stands, held inside the axis."""
        low, high, at = (self._scaled(number) for number in (self.low, self.high, value))
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value


def value_axis(values: Iterable[float], *, start: float, end: float) -> Axis:
    """An axis that holds all finite values with a little air.

    Positive values that reach beyond 1 and span more than a factor of 50 get a logarithmic axis.
    Fractions stay in 0 to 1.
    """
    finite = [min(HUGE, max(-HUGE, value)) for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low > 0 and high > 1 and high / low > 50:
        return Axis(low=low / 1.15, high=high * 1.15, start=start, end=end, log=True)
    air = 0.08 * (high - low)
    if air < TINY:
        air = 0.05 * abs(high) if abs(high) > TINY else 0.5
    bottom, top = low - air, high + air
    if low >= 0:
        bottom = max(0.0, bottom)
    if low >= 0 and high <= 1:
        top = min(1.0, top)
    return Axis(low=bottom, high=top, start=start, end=end)


def step_axis(steps: Iterable[float], *, start: float, end: float) -> Axis:
    """The axis of optimiser steps, from 0 to the last one."""
    last = max(steps, default=1.0)
    return Axis(low=0.0, high=max(last, 1.0), start=start, end=end)


def ticks(axis: Axis, *, count: int = 5) -> list[float]:
    """Round numbers inside an axis, about ``count`` of them."""
    return _log_ticks(axis, count) if axis.log else _linear_ticks(axis, count)


def _linear_ticks(axis: Axis, count: int) -> list[float]:
    rough = (axis.high - axis.low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _log_ticks(axis: Axis, count: int) -> list[float]:
    exponents = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    factors = (1, 2, 5) if len(exponents) <= count / 2 else (1,)
    every = max(1, math.ceil(len(exponents) * len(factors) / (2 * count)))
    marks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    return [mark for mark in marks[::every] if axis.low <= mark <= axis.high]


def tick_labels(marks: Sequence[float]) -> list[str]:
    """The same number of decimals for all, as many as they need (``0.80``, ``0.85``), in short: ``250k``."""
    largest = max((abs(mark) for mark in marks), default=0.0)
    if largest != 0 and (largest <= 1.5e-3 or largest >= 1e6):
        return [_scientific(mark) for mark in marks]
    if largest >= 1e5:
        return [_thousands(mark) for mark in marks]
    for decimals in range(5):
        if all(math.isclose(round(mark, decimals), mark, abs_tol=1e-9) for mark in marks):
            return [f"{mark:,.{decimals}f}".replace("-", numbers.MINUS) for mark in marks]
    return [f"{mark:.3g}" for mark in marks]


def _thousands(value: float) -> str:
    text = f"{value / 1000:.6g}k" if abs(value) >= 1000 else f"{value:.6g}"
    return text.replace("-", numbers.MINUS)


def _scientific(value: float) -> str:
    """``7.5e−4``, short enough for the margin of a chart."""
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}".replace("-", numbers.MINUS)
