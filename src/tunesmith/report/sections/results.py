"""Sections about what was measured: numbers before and after, and curves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tunesmith import numbers
from tunesmith.metrics.table import direction
from tunesmith.report.charts.curves import Chart, Mark, draw, dumbbell
from tunesmith.report.charts.downsample import Point, downsample, smooth
from tunesmith.report.run_files import Record, RunFiles
from tunesmith.report.sections.slices import is_slice
from tunesmith.report.summary import baseline, best, chief_metric, metrics_of, targets

MOST_VERDICTS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """One metric before and after; all as text but the drawing and whether it became better."""

    name: str
    before: str
    before_interval: str
    after: str
    after_interval: str
    change: str
    better: bool | None
    target: str
    drawing: Markup | None


def gains(run: RunFiles) -> list[Gain]:
    """Every metric of the kept model beside the baseline's, the one the run is about first."""
    before, after = baseline(run), best(run)
    names = metric_names(run, [record for record in (before, after) if record])
    return [_gain(name, before or {}, after or {}, targets(run.recipe).get(name)) for name in names]


def fewer_rows(run: RunFiles) -> str:
    """That the baseline was measured on a part of the rows, if it was."""
    seen, all_rows = ((record or {}).get("examples") for record in (baseline(run), best(run)))
    if not isinstance(seen, int) or not isinstance(all_rows, int) or seen >= all_rows:
        return ""
    return f"The baseline was measured on {numbers.number(seen)} of the {numbers.number(all_rows)} rows."


def _gain(name: str, before: Record, after: Record, target: float | None) -> Gain:
    was, now = metrics_of(before).get(name), metrics_of(after).get(name)
    bounds = [bounds_of(record, name) for record in (before, after)]
    known = was is not None and now is not None
    change = now - was if was is not None and now is not None else 0.0
    sign = 1 if direction(name) == "max" else -1
    return Gain(
        name=name,
        before=numbers.number(was),
        before_interval=numbers.interval(bounds[0]),
        after=numbers.number(now),
        after_interval=numbers.interval(bounds[1]),
        change=numbers.signed(change) if known else numbers.ABSENT,
        better=sign * change > 0 if known and change != 0 else None,
        target=numbers.number(target) if target is not None else "",
        drawing=dumbbell(was, now, bounds) if was is not None and now is not None else None,
    )


def metric_names(run: RunFiles, records: Sequence[Record]) -> list[str]:
    """Names measured in ``records``: the run's own first, then ``loss``, then the rest as they came.

    Those of parts of the evaluation set are left to the section about slices.
    """
    measured = {name: None for record in records for name in metrics_of(record) if not is_slice(name)}
    first = [name for name in (chief_metric(run), "loss") if name in measured]
    return [*dict.fromkeys([*first, *measured])]


def bounds_of(record: Record, name: str) -> Sequence[float]:
    """The two ends of a metric's interval; empty if there is none."""
    intervals = record.get("intervals")
    pair = intervals.get(name) if isinstance(intervals, Mapping) else None
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return ()
    return pair if all(isinstance(bound, int | float) for bound in pair) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawn chart with its heading and a note under it."""

    title: str
    note: str
    svg: Markup


def figures(run: RunFiles) -> list[Figure]:
    """All charts over the same steps: the metric of the run, training loss, other metrics, learning rate."""
    last = max((record["step"] for record in (*run.train, *run.evals)), default=0)
    if last == 0:
        return []
    names = metric_names(run, run.evals)
    charts = [_metric_figure(run, name, last) for name in names]
    loss = _loss_figure(run, last)
    if loss is not None:
        charts.insert(min(1, len(charts)), loss)
    rate = _rate_figure(run, last)
    return [*charts, rate] if rate is not None else charts


def _metric_figure(run: RunFiles, name: str, last: int) -> Figure:
    measured = [record for record in run.evals if name in metrics_of(record)]
    line = [(record["step"], metrics_of(record)[name]) for record in measured]
    bands = [(r["step"], b[0], b[1]) for r in measured if len(b := bounds_of(r, name)) == 2]
    target, kept = targets(run.recipe).get(name), best(run)
    goal = f" The target is {numbers.number(target)}." if target is not None else ""
    first, final = numbers.number(line[0][1]), numbers.number(line[-1][1])
    summary = f"{name} at {len(line)} evaluations, from {first} to {final} at step {line[-1][0]}.{goal}"
    chart = Chart(
        name=name,
        summary=summary,
        line=line,
        dots=len(line) <= 150,
        joined=len(line) > 2,
        bands=bands,
        target=target,
        chosen=kept.get("step") if kept else None,
        chosen_word="kept" if run.result else "best so far",
        marks=_verdict_marks(measured),
    )
    title = "evaluation loss" if name == "loss" else name
    note = "Held-out rows." if not bands else f"Held-out rows; the {_drawn(bands)} the 95 % interval."
    return Figure(title=title, note=note, svg=draw(chart, last_step=last))


def _drawn(bands: Sequence[tuple[float, float, float]]) -> str:
    return "band is" if len(bands) > 2 else "bars are" if len(bands) > 1 else "bar is"


def _verdict_marks(measured: Sequence[Record]) -> list[Mark]:
    """Every verdict; of very many only those that differ from the one before, and the last."""
    marks = [_mark(record) for record in measured if isinstance(record.get("verdict"), Mapping)]
    if len(marks) <= MOST_VERDICTS:
        return marks
    changed = [new for old, new in itertools.pairwise(marks) if new.decision != old.decision]
    return [marks[0], *changed[-MOST_VERDICTS:], *([] if marks[-1] in changed else [marks[-1]])]


def _mark(record: Record) -> Mark:
    verdict = record["verdict"]
    decision, rule = str(verdict.get("decision") or numbers.ABSENT), str(verdict.get("rule") or "")
    reason = str(verdict.get("reason") or "")
    said = f"{decision} ({rule})" if rule else decision
    return Mark(step=record["step"], decision=decision, text=f"{said}: {reason}" if reason else said)


def _loss_figure(run: RunFiles, last: int) -> Figure | None:
    raw = _series(run.train, "loss")
    if not raw:
        return None
    smoothed = smooth(raw)
    ends = (
        f", smoothed from {numbers.number(smoothed[0][1])} to {numbers.number(smoothed[-1][1])}"
        if smoothed
        else ""
    )
    chart = Chart(
        name="training loss",
        summary=f"Training loss over {len(raw)} steps{ends}.",
        line=downsample(smoothed),
        raw=downsample(raw),
    )
    note = "Each step (thin) and its moving average." + _left_out(len(raw), len(chart.raw))
    return Figure(title="training loss", note=note, svg=draw(chart, last_step=last))


def _left_out(points: int, drawn: int) -> str:
    if drawn == points:
        return ""
    return f" {points:,} steps drawn with {drawn:,} points that keep every low and high."


def _rate_figure(run: RunFiles, last: int) -> Figure | None:
    raw = _series(run.train, "learning_rate")
    if not raw:
        return None
    peak = max(value for _, value in raw)
    chart = Chart(
        name="learning rate",
        summary=f"Learning rate over {len(raw)} steps, highest {numbers.number(peak)}.",
        line=downsample(raw, most=200),
        from_zero=True,
    )
    return Figure(
        title="learning rate", note=f"Highest {numbers.number(peak)}.", svg=draw(chart, last_step=last)
    )


def _series(records: Sequence[Record], key: str) -> list[Point]:
    return [(record["step"], float(record[key])) for record in records if numbers.is_number(record.get(key))]
