"""What is learnt no longer carries over: worse than the best, surely, while training goes on."""

from __future__ import annotations

from tunesmith.judge.measurement import (
    History,
    Measurement,
    Verdict,
    known,
    stop_verdict,
    unknown,
    unknown_value,
)
from tunesmith.judge.significance import best_before, look_number, pair_of
from tunesmith.judge.statistics.distributions import spend
from tunesmith.judge.statistics.paired import Paired, p_worse
from tunesmith.numbers import percent_exact, show
from tunesmith.recipe.schema.stop import Overfitting


def overfitting(history: History, rule: Overfitting) -> Verdict | None:
    """Worse than the best by more than ``worse_by``, and not by chance, ``looks`` times in a row.

    Generalisation loss (Prechelt 1998, "Early stopping - but when?", GL_alpha): with E_opt the lowest
    error so far, ``GL = 100 (E / E_opt - 1)``; here ``GL > 100 worse_by``, and for metrics of which more
    is better the same with the relative fall.

    With ``progress: q`` also Prechelt's PQ: ``GL / P_k > q`` with
    ``P_k = 1000 (mean of the training loss over the last k evaluations / its minimum there - 1)``.

    The guard that Prechelt has not: a paired test on the same examples, whose chance at look k must be at
    most ``6 (1 - sure) / (pi k)²``, so that noise alone ends at most ``1 - sure`` of runs.

    ``unless_gaining`` holds the rule back while that metric is at its best: held-out loss may rise while
    answers improve (LIMA, arXiv 2305.11206, section 5 and appendix B).
    """
    newest = history[-1]
    if known(newest, rule.metric) is None:
        return unknown_value("overfitting", newest, rule.metric)
    for back in range(min(rule.looks, len(history) - 1)):
        worse = _worse(history[: len(history) - back], rule)
        if isinstance(worse, Verdict):
            return worse
        if not worse:
            return None
    if len(history) <= rule.looks:
        return None
    held = _held(history, rule)
    if isinstance(held, Verdict):
        return held
    if held:
        return None
    best = best_before(history, rule.metric)
    assert best is not None
    return stop_verdict(
        "overfitting",
        f"{rule.metric} {show(newest.metrics[rule.metric])} at step {newest.step} is worse than "
        f"{show(best.metrics[rule.metric])} at step {best.step}, "
        f"{percent_exact(rule.sure)} sure over all looks",
    )


def _worse(history: History, rule: Overfitting) -> Verdict | bool:
    """Whether the newest measurement is surely worse than the best before it."""
    newest, best = history[-1], best_before(history, rule.metric)
    if best is None or known(newest, rule.metric) is None:
        return False
    pair = pair_of(newest, best, rule.metric)
    if pair is None:
        return unknown(
            "overfitting", f"{rule.metric} has neither interval nor comparison at step {newest.step}"
        )
    fall = _fall(pair, best, rule.metric)
    if fall <= rule.worse_by or p_worse(pair) > spend(1 - rule.sure, look_number(history, rule.metric)):
        return False
    return True if rule.progress is None else _outweighs(history, rule, fall)


def _fall(pair: Paired, best: Measurement, metric: str) -> float:
    scale = abs(best.metrics[metric])
    return -pair.gain / scale if scale > 0 else (float("inf") if pair.gain < 0 else 0.0)


def _outweighs(history: History, rule: Overfitting, fall: float) -> Verdict | bool:
    strip = [one.train_loss for one in history if one.train_loss is not None][-rule.strip :]
    if len(strip) < rule.strip:
        return False
    if min(strip) <= 0:
        return unknown("overfitting", "the training loss is not above 0")
    progress = 1000 * (sum(strip) / len(strip) / min(strip) - 1)
    return 100 * fall > (rule.progress or 0.0) * progress


def _held(history: History, rule: Overfitting) -> Verdict | bool:
    """Whether the metric of ``unless_gaining`` has its best among the evaluations looked at."""
    metric = rule.unless_gaining
    if metric is None:
        return False
    if known(history[-1], metric) is None:
        return unknown_value("overfitting", history[-1], metric)
    best = best_before((*history, history[-1]), metric)
    return best is not None and any(best is one for one in history[-rule.looks :])
