"""What evaluation beside training costs the process that trains, where a core is free.

    .venv/bin/python benchmarks/bench_beside.py --pairs 3

Runs the demo's recipe for some steps in turns, training with one thread in both: without evaluations, and
with `eval.mode: async`, which scores the baseline and every 20 steps in another process on another core.
Compared is the time from the first to the last step, by the run's own clock: handing weights over and
taking scores in are part of it, and waiting for the last scores after the last step is not, which is told
by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "gpt_sft.yaml"
SAME = ["run.threads=1", "run.save_every=100000"]
WITHOUT = ["eval.every=100000", "eval.baseline=false", "eval.metrics=[perplexity]", "eval.limit=8"]
BESIDE = ["eval.mode=async", "eval.every=20", "eval.ahead=9"]


def seconds_of(run: Path, steps: int, more: list[str]) -> tuple[float, float]:
    """Seconds between the first and the last step, and from there to the end of the process."""
    shutil.rmtree(run, ignore_errors=True)
    settings = [f"stop=[{{budget: {{steps: {steps}}}}}]", f"run.dir={run}", *SAME, *more]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [sys.executable, str(RECIPE), *settings], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    journal = run / "metrics.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    clock = [record["seconds"] for record in records if record["kind"] == "train"]
    began = (run / "recipe.yaml").stat().st_mtime
    return float(clock[-1] - clock[0]), time.time() - began - clock[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-beside-"))
    pairs, ends = [], []
    try:
        for number in range(options.pairs):
            taken = {}
            for way in ("beside", "without") if number % 2 else ("without", "beside"):
                more = BESIDE if way == "beside" else WITHOUT
                taken[way], end = seconds_of(folder / "run", options.steps, more)
                if way == "beside":
                    ends.append(end)
            pairs.append((taken["beside"], taken["without"]))
            print(f"beside {pairs[-1][0]:.1f} s, without {pairs[-1][1]:.1f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cost = median(beside / without - 1 for beside, without in pairs)
    each = [100 * (beside / without - 1) for beside, without in pairs]
    print(
        f"beside training: {100 * cost:+.1f} % of training time (median of {len(pairs)} pairs: "
        f"{', '.join(f'{one:+.1f}' for one in each)}); {median(ends):.0f} s from the last step to the end"
    )


if __name__ == "__main__":
    main()
