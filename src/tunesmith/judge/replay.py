"""Recorded curves through any set of rules: where would they have stopped, and what would that have kept?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.judge.comparisons import Comparands, comparisons, keep
from tunesmith.judge.decide import decide
from tunesmith.judge.measurement import History, Measurement, Progress, Verdict
from tunesmith.judge.selection.best import best_index, primary_metric
from tunesmith.judge.statistics.example_scores import Scores, scores_of, unpack
from tunesmith.judge.statistics.intervals import bootstrap_interval, wilson_interval
from tunesmith.judge.statistics.paired import pair_from_plain
from tunesmith.metrics.table import declared, gain, metric_direction
from tunesmith.recipe.schema.stop import StopRule, leaves

Looks = Callable[[History, int], int]
"""History and the whole budget's steps to the step of the next evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One recorded run, to the end of its budget.

    Attributes:
        task: what was learnt.
        metric: by which weights are chosen.
        seed: of the run.
        steps: the whole budget.
        measurements: one an evaluation, without comparisons.
        scores: per evaluation, what each example gave; empty if only the log is known.
        others: per evaluation, the metric on other examples, which no rule sees; empty if there are none.
    """

    task: str
    metric: str
    seed: int
    steps: int
    measurements: tuple[Measurement, ...]
    scores: tuple[Scores, ...] = ()
    others: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What a set of rules made of a curve.

    Attributes:
        verdict: the last one.
        stopped: index of the evaluation after which it stopped.
        kept: index of the evaluation whose weights are kept.
        share: steps done over the whole budget's.
        score: of the weights kept, over the best of the whole curve (for errors: the best over it).
        other: the same on the examples that no rule saw, against the curve's own choice at the end of the
            budget; ``None`` if there are none.
        looks: evaluations made.
    """

    verdict: Verdict
    stopped: int
    kept: int
    share: float
    score: float
    other: float | None
    looks: int


def replay(curve: Curve, rules: Sequence[StopRule], looks: Looks | None = None) -> ReplayResult:
    """Walk along a curve as a run would, and stop where the rules say so.

    Args:
        curve: recorded.
        rules: as in a recipe; budgets of theirs that end earlier than the curve are obeyed.
        looks: which evaluations are made; default: every one recorded.
    """
    history: History = ()
    seen: list[int] = []
    kept: Comparands = {}
    due = -1
    verdict = decide((), rules)
    for index, recorded in enumerate(curve.measurements):
        if recorded.step < due and index < len(curve.measurements) - 1:
            continue
        newest = {curve.metric: curve.scores[index]} if curve.scores else {}
        paired = comparisons(kept, newest) if curve.scores else recorded.paired
        history = (*history, replace(recorded, paired=paired))
        kept = keep(kept, newest, history, rules)
        seen.append(index)
        verdict = decide(history, rules)
        if verdict.stop:
            break
        due = looks(history, curve.steps) if looks is not None else -1
    return _outcome(curve, rules, history, seen, verdict)


def _outcome(
    curve: Curve, rules: Sequence[StopRule], history: History, seen: list[int], verdict: Verdict
) -> ReplayResult:
    chosen, stopped = seen[best_index(history, leaves(rules))], seen[-1]
    values = [one.metrics[curve.metric] for one in curve.measurements]
    best = max(range(len(values)), key=lambda index: (gain(curve.metric, values[index], 0.0), -index))
    return ReplayResult(
        verdict=verdict,
        stopped=stopped,
        kept=chosen,
        share=curve.measurements[stopped].step / curve.steps,
        score=_ratio(curve.metric, values[chosen], values[best]),
        other=_ratio(curve.metric, curve.others[chosen], curve.others[best]) if curve.others else None,
        looks=len(seen),
    )


def _ratio(metric: str, ours: float, theirs: float) -> float:
    return ours / theirs if metric_direction(metric) == "max" else theirs / ours


def read_curves(path: Path) -> list[Curve]:
    """Curves that ``benchmarks/record_curves.py`` wrote: one file a task, one curve a seed."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return [_curve(plain, run) for run in plain["runs"]]


def _curve(plain: Mapping[str, Any], run: Mapping[str, Any]) -> Curve:
    counts = list(unpack(run["counts"])) if "counts" in run else None
    scores = [scores_of(look["step"], list(unpack(look["scores"])), counts) for look in run["looks"]]
    measurements = [_measurement(plain, look, one) for look, one in zip(run["looks"], scores, strict=True)]
    return Curve(
        task=plain["task"],
        metric=plain["metric"],
        seed=run["seed"],
        steps=plain["steps"],
        measurements=tuple(measurements),
        scores=tuple(scores),
        others=tuple(look["other"] for look in run["looks"]),
    )


def _measurement(plain: Mapping[str, Any], look: Mapping[str, Any], scores: Scores) -> Measurement:
    metric, share = plain["metric"], look["step"] / plain["steps"]
    if (found := declared(metric)) is not None and found.proportion:
        interval = wilson_interval(float(scores.totals.sum()), len(scores.totals))
    else:
        drawn = bootstrap_interval(list(scores.totals), list(scores.counts), resamples=200)
        interval = drawn if drawn is not None else (scores.value, scores.value)
    return Measurement(
        progress=Progress(
            step=look["step"], epoch=share * plain["epochs"], tokens=look["step"], seconds=float(look["step"])
        ),
        metrics={"loss": look["loss"], metric: scores.value},
        intervals={metric: interval},
        examples=len(scores.totals),
        seconds=0.0,
        train_loss=look.get("train_loss"),
    )


def read_log(path: Path, rules: Sequence[StopRule]) -> Curve:
    """The curve in a run's ``metrics.jsonl``, with the comparisons that the run made.

    Other rules find those alone; where they would compare with another measurement, they use intervals.
    """
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    measured = [_logged(record) for record in records if record.get("kind") == "eval"]
    steps = max((record.get("step", 0) for record in records), default=0)
    return Curve(
        task=path.parent.name,
        metric=primary_metric(rules),
        seed=0,
        steps=steps,
        measurements=tuple(measured),
    )


def _logged(record: Mapping[str, Any]) -> Measurement:
    nan = float("nan")
    return Measurement(
        progress=Progress(
            step=record["step"], epoch=record["epoch"], tokens=record["tokens"], seconds=record["at"]
        ),
        metrics={name: nan if value is None else value for name, value in record["metrics"].items()},
        intervals={name: (ends[0], ends[1]) for name, ends in record.get("intervals", {}).items()},
        examples=record["examples"],
        seconds=record["seconds"],
        train_loss=record.get("train_loss"),
        paired=tuple(pair_from_plain(pair) for pair in record.get("paired", ())),
        clusters=record.get("clusters"),
        of=record.get("of"),
    )
