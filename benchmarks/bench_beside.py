"""What evaluation beside training costs the process that trains, where a core is free.

    .venv/bin/python benchmarks/bench_beside.py --runs 2

Runs the demo's recipe with `eval.mode: async`, training with one thread and scoring with one on another
core, every 25 steps. Steps that are taken while something is scored are compared with those of the same
run that are taken while nothing is: so both share the moods of the machine. The cost is how much longer the
former take, times their share of the steps, and the time for which handing over and judging hold training
up. Waiting for the last scores, after the last step, is told by itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median

from timing import records_of, seconds_said, timed

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "gpt_sft.yaml"
EVERY, STEPS = 25, 100
SETTINGS = [
    f"stop=[{{budget: {{steps: {STEPS}}}}}]",
    f"eval.every={EVERY}",
    "eval.mode=async",
    "eval.ahead=9",
    "eval.subset=all",
    "run.threads=1",
    "run.save_every=100000",
]


def inside(run: str) -> None:
    """Run the recipe, and print for how long each measurement holds training up."""
    from tunesmith import main as tunesmith
    from tunesmith.train import loop

    loop.measure, loop.take_scored = timed("held", loop.measure), timed("held", loop.take_scored)
    tunesmith(str(RECIPE), [*SETTINGS, f"run.dir={run}"])


def cost_of(run: Path) -> tuple[float, str]:
    """The share of training's time, and the figures in words."""
    shutil.rmtree(run, ignore_errors=True)
    words = [sys.executable, __file__, "--inside", str(run)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    held = seconds_said(done.stderr, "held")
    clock = [record["seconds"] for record in records_of(run, "train")]
    spans = [(one["at"], one["at"] + one["seconds"]) for one in records_of(run, "eval")]
    taken: dict[bool, list[float]] = {True: [], False: []}
    for start, end in pairwise(clock):
        inside = any(low <= start and end <= high for low, high in spans)
        outside = all(end <= low or high <= start for low, high in spans)
        if inside != outside:
            taken[inside].append(end - start)
    busy, idle = median(taken[True]), median(taken[False])
    share = len(taken[True]) / len(taken[True] + taken[False])
    kept = sum(sorted(held)[:-1])  # the longest is the wait at the end
    cost = share * (busy / idle - 1) + kept / (clock[-1] - clock[0])
    return cost, (
        f"{busy:.3f} s a step while something is scored ({share:.0%} of the steps), {idle:.3f} s while "
        f"nothing is; held up for {kept:.2f} s of {clock[-1] - clock[0]:.0f} s; "
        f"{max(held):.0f} s wait at the end"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--inside", metavar="RUN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside)
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-beside-"))
    costs = []
    try:
        for _ in range(options.runs):
            cost, words = cost_of(folder / "run")
            costs.append(cost)
            print(f"{100 * cost:+.1f} %: {words}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"beside training: {100 * median(costs):+.1f} % of training time")


if __name__ == "__main__":
    main()
