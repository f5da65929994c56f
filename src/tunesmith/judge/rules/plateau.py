"""Training no longer helps: no gain for as long as the patience lasts."""

from __future__ import annotations

import math

from tunesmith.judge.measurement import History, Measurement, Verdict, known, stop_verdict, unknown_value
from tunesmith.judge.significance import pair_of
from tunesmith.judge.statistics.distributions import normal_tail
from tunesmith.judge.statistics.paired import p_better
from tunesmith.metrics.table import gain
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import Plateau

MOST = 30.0
"""Bits that one evaluation can add."""
FEWEST = 3
"""Evaluations without a gain below which a patience in percent never ends: the first ones lie close."""


def plateau(history: History, rule: Plateau) -> Verdict | None:
    """No gain of at least ``min_gain`` since the last one, for ``patience``.

    Formula: the reference starts at the first known value; an evaluation whose gain over it is positive
    and at least ``min_gain`` becomes the reference. A slow climb is a gain once its steps add up.
    Earlier evaluations without a value are no evidence.

    With ``sure: s`` a gain must also pass a paired test on the same examples (``p_better <= 1 - s``):
    then a lucky draw does not extend the run, and small gains count once they have added up to more
    than noise.

    The patience is over after so many evaluations, steps, tokens or epochs without a gain; or, in
    percent, when what was spent since the last gain is that share of what was spent until it. The
    latter has no scale: on a power law ``c + a t**-b`` equal *ratios* of time bring equal shares of what
    is left to gain, so a fixed number of evaluations is too short late and too long early.

    In bits it is measured in evidence: each evaluation since the last gain adds ``-log2 p``, p being the
    chance of a result as bad as this one if it were a true gain of ``min_gain`` (see ``evidence_bits``).
    An evaluation that tells nothing adds one bit, one that is clearly worse adds many: noise makes the
    rule patient, and a curve that surely turns ends at once.
    """
    newest = history[-1]
    value = known(newest, rule.metric)
    if value is None:
        return unknown_value("plateau", newest, rule.metric)
    count, best = since_gain(history, rule)
    if count == 0 or not _over(rule, count, best, history):
        return None
    kind = "sure gain" if rule.sure is not None else "gain"
    wanted = f" of {show(rule.min_gain)} or more" if rule.min_gain else ""
    return stop_verdict(
        "plateau",
        f"{rule.metric} has made no {kind}{wanted} in {count} evaluation{'s' if count > 1 else ''}: "
        f"{show(best.metrics[rule.metric])} at step {best.step}, {show(value)} at step {newest.step}",
    )


def since_gain(history: History, rule: Plateau) -> tuple[int, Measurement]:
    """Evaluations since the last gain, and the measurement that made it; see ``plateau``."""
    count, best = 0, None
    for measurement in history:
        if known(measurement, rule.metric) is None:
            continue
        if best is None or _is_gain(rule, measurement, best):
            count, best = 0, measurement
        else:
            count += 1
    return count, best or history[0]


def evidence_bits(history: History, best: Measurement, rule: Plateau) -> float:
    """Evidence against a gain of ``min_gain`` since ``best``, in bits.

    Formula: the sum of ``-log2 P(Z > (min_gain - gain) / error)`` over the evaluations since, with the
    paired gain over ``best`` and its error, Z standard normal, and at most MOST an evaluation. Sums of
    ``-log p`` are Fisher's way to combine tests (1932, section 21.1); evaluations of one run are not
    independent, so the sum is a measure of evidence and no error rate. Without an error it is one bit.
    """
    bits = 0.0
    for one in history:
        if one.step <= best.step or known(one, rule.metric) is None:
            continue
        pair = pair_of(one, best, rule.metric)
        if pair is None or (pair.error <= 0 and pair.gain == rule.min_gain):
            bits += 1.0
        elif pair.error <= 0:
            bits += MOST if pair.gain < rule.min_gain else 0.0
        else:
            chance = normal_tail((rule.min_gain - pair.gain) / pair.error)
            bits += min(MOST, -math.log2(max(chance, 1e-300)))
    return bits


def _is_gain(rule: Plateau, newer: Measurement, best: Measurement) -> bool:
    value, reference = newer.metrics[rule.metric], best.metrics[rule.metric]
    gained = gain(rule.metric, value, reference)
    # 0.3 - 0.2 is 0.09999999999999998: a gain of 0.1 asked for and made must count as one
    rounding = 4 * max(math.ulp(value), math.ulp(reference)) if rule.min_gain else 0.0
    if gained <= 0 or gained + rounding < rule.min_gain:
        return False
    pair = pair_of(newer, best, rule.metric) if rule.sure is not None else None
    return pair is None or p_better(pair) <= 1 - (rule.sure or 0.0)


def _over(rule: Plateau, count: int, best: Measurement, history: History) -> bool:
    patience, now, then = rule.patience, history[-1].progress, best.progress
    if patience.unit == "evaluations":
        return count >= patience.count
    if patience.unit == "percent":
        enough = now.step - then.step >= patience.count / 100 * then.step
        return enough and count >= FEWEST
    if patience.unit == "bits":
        return evidence_bits(history, best, rule) >= patience.count
    spent = {"steps": now.step - then.step, "tokens": now.tokens - then.tokens}
    return spent.get(patience.unit, now.epoch - then.epoch) * (1 + 1e-9) >= patience.count
