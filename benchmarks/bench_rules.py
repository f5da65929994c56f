"""Stop rules against patience, on recorded curves.

    .venv/bin/python benchmarks/bench_rules.py [tune | report | all] [RULE ...]

Replays the curves of `benchmarks/curves/` (see record_curves.py). Rules are chosen on the even seeds
(`tune`) and reported on the odd ones (`report`, the default). A RULE is a list of stop rules in YAML, with
METRIC for the task's metric: '[plateau: {metric: METRIC, patience: 5}]'.

share  steps done when the rules stopped, over the whole budget's
kept   score of the weights kept, over the best score of the whole budget (for errors the other way round)
least  the least `kept` of all runs
other  the same on held-out rows that no rule saw, against the weights that the whole budget would choose
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import yaml

from tunesmith.judge.measurement import History
from tunesmith.judge.replay import Curve, Looks, ReplayResult, read_curves, replay
from tunesmith.judge.schedule.eval_schedule import next_eval_step
from tunesmith.recipe.schema.stop import StopRule

CURVES = Path(__file__).parent / "curves"
SURE = "[plateau: {metric: METRIC, patience: 16 bits}, forecast: {metric: METRIC, min_gain: 1%}]"
THRIFTY = "[plateau: {metric: METRIC, patience: 10 bits}, forecast: {metric: METRIC, min_gain: 1.5%}]"
PATIENCE = "[plateau: {{metric: METRIC, patience: {}}}]"


def once_an_epoch(history: History, steps: int, *, epochs: float) -> int:
    """The peers' usual cadence, and the default of a recipe."""
    return int((int(history[-1].progress.epoch + 1e-9) + 1) * steps / epochs)


def outcome(curve: Curve, text: str, looks: Looks | None) -> ReplayResult:
    plain = yaml.safe_load(text.replace("METRIC", curve.metric))
    rules = [StopRule.model_validate(one) for one in (*plain, {"budget": {"steps": curve.steps}})]
    return replay(curve, rules, looks)


def row(name: str, text: str, curves: Sequence[Curve], cadence: str = "every look") -> list[ReplayResult]:
    """Replay, and print one line."""
    started, found = time.process_time(), []
    for curve in curves:
        epochs = curve.measurements[-1].progress.epoch
        looks = {"once an epoch": partial(once_an_epoch, epochs=epochs), "auto": next_eval_step}.get(cadence)
        found.append(outcome(curve, text, looks))
    tasks = sorted({curve.task for curve in curves})
    cells = [_cell([o for o, c in zip(found, curves, strict=True) if c.task == task]) for task in tasks]
    least = min(one.score for one in found)
    took = time.process_time() - started
    print(
        f"{name:34s}{cadence:14s} {_cell(found)} {least:.3f} | {' | '.join(cells)} | {took:.1f}s", flush=True
    )
    return found


def _cell(found: Sequence[ReplayResult]) -> str:
    other = fmean(one.other for one in found if one.other is not None)
    return f"{fmean(o.share for o in found):.3f} {fmean(o.score for o in found):.4f} {other:.4f}"


def difference(name: str, ours: Sequence[ReplayResult], theirs: Sequence[ReplayResult]) -> None:
    """Paired over runs: mean difference with its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).integers(0, len(ours), (10_000, len(ours)))
    for label, value in (("share", "share"), ("kept", "score"), ("other", "other")):
        pairs = zip(ours, theirs, strict=True)
        values = np.array([getattr(a, value) - getattr(b, value) for a, b in pairs])
        low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
        print(f"  {name}: {label} {values.mean():+.4f} ({low:+.4f} to {high:+.4f})")


def main() -> None:
    half = sys.argv[1] if len(sys.argv) > 1 else "report"
    wanted = {"tune": (0,), "report": (1,), "all": (0, 1)}[half]
    curves = [curve for path in sorted(CURVES.glob("*.json")) for curve in read_curves(path)]
    curves = [curve for curve in curves if curve.seed % 2 in wanted]
    tasks = sorted({curve.task for curve in curves})
    print(f"{len(curves)} runs ({half}); columns: share kept other least | {' | '.join(tasks)}")
    given = sys.argv[2:]
    for text in given:
        row(text, text, curves)
    if given:
        return
    peers = {
        (patience, cadence): row(f"patience {patience}", PATIENCE.format(patience), curves, cadence)
        for patience in (3, 5, 8)
        for cadence in ("every look", "once an epoch")
    }
    print(f"sure: {SURE}\nthrifty: {THRIFTY}")
    ours = {name: row(name, text, curves) for name, text in (("sure", SURE), ("thrifty", THRIFTY))}
    row("sure", SURE, curves, "auto")
    difference("sure - patience 3, once an epoch", ours["sure"], peers[3, "once an epoch"])
    difference("sure - patience 5, every look", ours["sure"], peers[5, "every look"])
    difference("thrifty - patience 3, every look", ours["thrifty"], peers[3, "every look"])


if __name__ == "__main__":
    main()
