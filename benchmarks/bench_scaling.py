"""What two processes cost and bring on one machine's processor: seconds of a step, profile by profile.

    .venv/bin/python benchmarks/bench_scaling.py --pairs 5

The same recipe at the same global batch: one process with all cores (`cpu`), two with half of them each, data
parallel and sharded. Every run is fresh; profiles take turns, forwards and backwards, so that a machine
that slows down slows all of them. Of each run the median step counts, without the first three; of each
profile the median over runs, and the median of the ratios to `cpu` within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench_plan import Case, write_recipe

PROFILES = ("cpu", "cpu_2proc", "cpu_zero2", "cpu_zero3", "cpu_fsdp2")
WARM = 3


def seconds_a_step(path: Path, profile: str) -> float:
    """Median seconds of a step of one run."""
    run = path.parent / "run"
    shutil.rmtree(run, ignore_errors=True)
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environ.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "run", str(path), "--on", profile],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{profile}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    clock = [record["seconds"] for record in records if record["kind"] == "train"]
    return median(after - before for before, after in zip(clock[WARM:], clock[WARM + 1 :], strict=False))


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--profiles", nargs="+", default=list(PROFILES))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-scaling-"))
    try:
        path = write_recipe(Case("12M, whole", "12M", batch=16, more={"micro": 8}), folder, options.steps)
        rounds = []
        for number in range(options.pairs):
            order = options.profiles if number % 2 == 0 else list(reversed(options.profiles))
            rounds.append({profile: seconds_a_step(path, profile) for profile in order})
            print(f"round {number + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("| profile | median s a step | times `cpu` (lowest to highest) |\n|---|---|---|")
    for profile in options.profiles:
        ratios = sorted(each[profile] / each[options.profiles[0]] for each in rounds)
        seconds = median(each[profile] for each in rounds)
        print(f"| `{profile}` | {seconds:.2f} | {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")


if __name__ == "__main__":
    main()
