"""What guards bar: weights that no rule may keep, said when they are measured, early and at the end."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.judge.measurement import History, Measurement, known
from tunesmith.judge.selection.best import best_index, primary_metric, within, within_guards
from tunesmith.metrics.table import direction, gain
from tunesmith.numbers import show
from tunesmith.recipe.schema.stop import Guard, Leaves

IN_A_ROW = 3
"""Barred evaluations in a row after which it is said what becomes of the run."""


def bars(measurement: Measurement, first: Measurement, single: Leaves) -> list[str]:
    """Each guard that bars a measurement's weights, and by how much.

    ``the guard on talk/loss: 5.50 against 4.92, at most 0.50 worse``.
    """
    return [_words(measurement, first, guard) for guard in _barring(measurement, first, single)]


def _barring(measurement: Measurement, first: Measurement, single: Leaves) -> list[Guard]:
    guards = [rule.guard for rule in single if rule.guard is not None]
    return [guard for guard in guards if not within(measurement, first, guard)]


def _words(measurement: Measurement, first: Measurement, guard: Guard) -> str:
    value, start = known(measurement, guard.metric), known(first, guard.metric)
    now, then = ("no value" if one is None else show(one) for one in (value, start))
    return f"the guard on {guard.metric}: {now} against {then}, at most {show(guard.max_drop)} worse"


def barred_message(history: History, single: Leaves) -> Iterator[str]:
    """What is to be said after the newest measurement, if a guard bars it.

    Of several in a row, the third says what becomes of the run unless the metric comes back; then the
    sixth, the twelfth and so on.
    """
    newest, first = history[-1], history[0]
    found = bars(newest, first, single)
    if not found:
        return
    yield f"these weights cannot be kept, barred by {'; '.join(found)}"
    count = 0
    for one in reversed(history):
        if within_guards(one, first, single):
            break
        count += 1
    if count < IN_A_ROW or count % IN_A_ROW or (count // IN_A_ROW) & (count // IN_A_ROW - 1):
        return
    kept = history[best_index(history, single)].step
    back = " and ".join(_way_back(first, guard) for guard in _barring(newest, first, single))
    yield (
        f"{count} evaluations in a row are barred: unless {back}, nothing after step {kept} is kept. "
        "A larger `max_drop`, a lower learning rate or fewer trained weights would let some be; "
        "`tunesmith stop RUN` ends the run now"
    )


def _way_back(first: Measurement, guard: Guard) -> str:
    start = known(first, guard.metric)
    assert start is not None, "a guard with nothing to compare with bars nothing"
    more = direction(guard.metric) == "max"
    limit = start - guard.max_drop if more else start + guard.max_drop
    return f"{guard.metric} comes back to {show(limit)} or {'more' if more else 'less'}"


def passed_over(history: History, single: Leaves) -> Iterator[str]:
    """Sentences for the end: better weights than those kept that a guard barred, or that are gone."""
    metric, kept = primary_metric(single), history[best_index(history, single)]
    gone = history[best_index(history, single, held=False)]
    if gone.lost and known(gone, metric) is not None:
        yield (
            f"The best by {metric} is step {gone.step} with {_value(gone, metric)}, whose weights are gone: "
            "no checkpoint holds them any more."
        )
    best = history[best_index(history, single, guarded=False)]
    found = bars(best, history[0], single)
    value, ours = known(best, metric), known(kept, metric)
    if best is kept or not found or value is None or (ours is not None and gain(metric, value, ours) <= 0):
        return
    yield (
        f"The best by {metric} is step {best.step} with {_value(best, metric)}, barred by {'; '.join(found)}."
    )


def _value(measurement: Measurement, metric: str) -> str:
    value = known(measurement, metric)
    return "no value" if value is None else show(value)
