"""How often is a target "reached" by a model that is not good enough?

    .venv/bin/python benchmarks/bench_target.py [CURVES]

Simulates runs whose true accuracy climbs to just short of the target (by 0.1 point) and stays there: the
hardest case for a rule that looks again and again. Each run has its own evaluation examples and LOOKS looks;
whether an example is right changes from look to look only for some, as between real checkpoints. Prints the
share of runs that each rule ends with a false success.
"""

from __future__ import annotations

import sys
from itertools import product

import numpy as np

from tunesmith.judge.measurement import Measurement, Progress
from tunesmith.judge.rules.target import target
from tunesmith.judge.statistics.intervals import bootstrap_interval, wilson_interval

LOOKS, TARGET, SHORT = 40, 0.85, 0.001
RULES = {"value": {}, "confirm: 3": {"confirm": 3}, "sure: 95%": {"sure": 0.95}}


def run(generator: np.random.Generator, examples: int, change: float) -> list[Measurement]:
    """One run: hidden tendencies of the examples, of which a share is drawn anew at each look."""
    climb = TARGET - SHORT - 0.4 * np.exp(-np.arange(LOOKS) / 6)
    noise = generator.random(examples)
    history = []
    for look, true in enumerate(climb):
        fresh = generator.random(examples) < change
        noise = np.where(fresh, generator.random(examples), noise)
        hits = int((noise < true).sum())
        history.append(
            Measurement(
                progress=Progress(step=look, epoch=look / 1000, tokens=look, seconds=float(look)),
                metrics={"loss": 1.0, "accuracy": hits / examples},
                intervals={"accuracy": wilson_interval(hits, examples)},
                examples=examples,
                seconds=0.0,
            )
        )
    return history


def losses(generator: np.random.Generator, examples: int, change: float) -> list[Measurement]:
    """The same for a loss, whose interval is a bootstrap's: log-normal over examples, down to the target."""
    climb = TARGET + SHORT + 0.4 * np.exp(-np.arange(LOOKS) / 6)
    noise = generator.standard_normal(examples)
    history = []
    for look, true in enumerate(climb):
        fresh = generator.random(examples) < change
        noise = np.where(fresh, generator.standard_normal(examples), noise)
        values = true * np.exp(0.8 * noise - 0.32)
        interval = bootstrap_interval(list(values), seed=look, resamples=200)
        assert interval is not None
        history.append(
            Measurement(
                progress=Progress(step=look, epoch=look / 1000, tokens=look, seconds=float(look)),
                metrics={"loss": float(values.mean())},
                intervals={"loss": interval},
                examples=examples,
                seconds=0.0,
            )
        )
    return history


def false_successes(make, curves: int, examples: int, change: float, metric: str) -> dict[str, float]:
    generator = np.random.default_rng(0)
    counts = dict.fromkeys(RULES, 0)
    for _ in range(curves):
        history = make(generator, examples, change)
        for name, keys in RULES.items():
            looks = (target(tuple(history[: look + 1]), {metric: TARGET}, **keys) for look in range(LOOKS))
            counts[name] += any(verdict is not None and verdict.stop for verdict in looks)
    return {name: count / curves for name, count in counts.items()}


def main() -> None:
    curves = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{curves} simulated runs a row, {LOOKS} looks each: share with a false success")
    print(f"{'':44s}" + "".join(f"{name:>14s}" for name in RULES))
    for make, metric, sizes in ((run, "accuracy", (200, 1000)), (losses, "loss", (200,))):
        for examples, change in product(sizes, (0.02, 0.3, 1.0)):
            found = false_successes(make, curves, examples, change, metric)
            title = f"{metric}, {examples} examples, {change:.0%} change a look"
            shown = "".join(f"{share:14.3f}" for share in found.values())
            print(f"{title:44s}{shown}", flush=True)


if __name__ == "__main__":
    main()
