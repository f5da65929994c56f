"""How many evaluation rows a decision needs: nested subsets that grow until it is settled."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import History, Measurement, known
from tunesmith.judge.selection.best import best_index, primary_metric
from tunesmith.judge.significance import least_sure, look_number, pair_of, standard_error
from tunesmith.judge.statistics.distributions import normal_quantile, normal_tail, spend
from tunesmith.judge.statistics.paired import p_better, p_worse
from tunesmith.metrics.table import gain
from tunesmith.recipe.schema.stop import StopRule, leaves

FIRST = 64
"""Rows of the smallest subset."""
WORTH_GROWING = 0.1
"""Chance of passing a target below which more rows cost more than the earlier stop that they may bring."""
LIKELY = 0.5
"""Chance of passing from which all rows are asked at once: they will hardly be spared."""
INDIFFERENT = 0.005
"""Differences from the best below this (for errors: this share of it) need not be told apart."""


def nested_order(strata: Sequence[Hashable], seed: int = 0) -> list[int]:
    """Indices of all rows in an order whose every beginning is a stratified sample of the whole.

    Row number r (from 0, in a random order) of a stratum of n rows stands at ``(r + u) / n`` with one
    random u a row; sorted by that, the first m rows hold each stratum's share of m to within about one
    row. The order is fixed by ``seed``, so that each subset holds every smaller one, and measurements of
    different sizes share examples.

    Args:
        strata: of each row, e.g. its label; all equal where there are none.
        seed: same seed, same order.
    """
    generator = np.random.default_rng(seed)
    members: dict[Hashable, list[int]] = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    places = np.empty(len(strata))
    for rows in members.values():
        shuffled = generator.permutation(rows)
        places[shuffled] = (np.arange(len(rows)) + generator.random(len(rows))) / len(rows)
    return [int(index) for index in np.argsort(places, kind="stable")]


def sizes(rows: int, first: int = FIRST) -> list[int]:
    """Sizes of the nested subsets: doubled from ``first``, the last one all rows."""
    doubled = [first * 2**power for power in range(40) if first * 2**power < rows]
    return [*doubled, rows]


def size_needed(spread: float, difference: float, *, sure: float = 0.95, power: float = 0.8) -> int:
    """Rows to tell ``difference`` from chance: ``((z_sure + z_power) spread / difference)²``.

    Args:
        spread: standard deviation of what one example gives (paired: of the difference it gives).
        difference: the smallest that matters, in the same unit.
        sure: one minus the chance of seeing it where there is none.
        power: the chance of seeing it where it is (Miller 2024, arXiv 2411.00640, equation 9).
    """
    assert difference > 0, f"a difference of {difference}"
    z = normal_quantile(sure) + normal_quantile(power)
    return max(2, math.ceil((z * spread / difference) ** 2))


def next_size(history: History, newest: Measurement, rules: Sequence[StopRule]) -> int | None:
    """How many rows the newest measurement must still grow to; ``None`` if its decision is settled.

    Settled means that more rows would not change what is done. A subset may say *go on*; it may never
    stop a run, nor pass a target:

    - if the rules would stop, the whole set is asked;
    - if all rows may pass a target, with the sureness that it asks for, the subset grows: not where the
      chance of that is below ``WORTH_GROWING``, since a stop that is missed so comes with the next look, and
      at once to the whole set where it is ``LIKELY``;
    - if it is not clear whether the newest is better than the best, the subset grows, until the two are
      surely different, or surely closer than ``INDIFFERENT``; and to the whole set if the best saw a part
      only, since more rows of one alone would not help.

    Clear against the best is what a test says whose chance at look k and size j is at most
    ``6 · 0.05 / (pi k)²``, spent evenly over the sizes: growing is looking again, and costs error like every
    look. A target that is given up for this look costs none: it is passed by all rows only.

    Args:
        history: the measurements before.
        newest: what was seen so far, with ``of`` set to the size of the whole set.
        rules: the recipe's ``stop``.
    """
    if newest.whole or newest.of is None:
        return None
    larger = [size for size in sizes(newest.of) if size > newest.examples]
    if not larger:
        return None
    if decide((*history, newest), rules).stop or _would_stop_whole(history, newest, rules):
        return newest.of
    single = leaves(rules)
    metric = primary_metric(single)
    chance = spend(0.05, look_number((*history, newest), metric)) / len(sizes(newest.of))
    for rule in single:
        chances = [_chance_to_pass(history, newest, rule.sure, *each) for each in (rule.target or {}).items()]
        if chances and min(chances) >= WORTH_GROWING:
            return newest.of if min(chances) >= LIKELY else larger[0]
    if not history or known(newest, metric) is None:
        return larger[0] if history else None
    best = history[best_index(history, single)]
    if _clear_against(best, newest, metric, chance):
        return None
    return larger[0] if best.whole else newest.of


def _would_stop_whole(history: History, newest: Measurement, rules: Sequence[StopRule]) -> bool:
    """Whether the same values over the whole set would stop the run: targets do not believe a subset."""
    return decide((*history, replace(newest, of=None)), rules).stop


def _chance_to_pass(
    history: History, newest: Measurement, sure: float | None, metric: str, wanted: float
) -> float:
    """Chance that all rows give what a target needs, by what some of them gave; 1 if that is not known.

    The mean of all N rows differs from the mean of n of them by ``error sqrt(1 - n / N)`` (sampling without
    replacement, Cochran 1977, theorem 2.2).
    """
    value, error = known(newest, metric), standard_error(newest, metric)
    if value is None or error is None:
        return 1.0
    needed: float | None = wanted
    if sure is not None:
        share = spend(1 - sure, look_number((*history, newest), metric))
        needed = least_sure(newest, metric, wanted, share)
    if needed is None:
        return 0.0
    spread = error * math.sqrt(1 - newest.examples / (newest.of or newest.examples))
    short = gain(metric, needed, value)
    return normal_tail(short / spread) if spread > 0 else float(short <= 0)


def _clear_against(best: Measurement, newest: Measurement, metric: str, chance: float) -> bool:
    pair = pair_of(newest, best, metric)
    if pair is None:
        return False
    if min(p_better(pair), p_worse(pair)) <= chance:
        return True
    scale = max(abs(best.metrics[metric]), 1e-12) * INDIFFERENT
    return abs(pair.gain) + normal_quantile(0.95) * pair.error < scale
