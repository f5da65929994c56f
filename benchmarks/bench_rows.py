"""What it costs a run to keep account of its rows, so that each step's rows can be named.

    .venv/bin/python benchmarks/bench_rows.py --pairs 3

Runs a smoke recipe, whose steps are the shortest there are, in turns with and without the account, and
compares the processor's seconds of a whole run. Then it times what the account is, one file written before
the first step, for this recipe and for a million rows, and how long it takes to ask for a step and for a row.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from timing import records_of, seconds_said, timed

RECIPE = Path(__file__).parents[1] / "recipes" / "smoke" / "causal-lm.yaml"


def inside(run: str, steps: int, *, account: bool) -> None:
    """Run the recipe; prints the seconds of each time that the account is written, and of the processor."""
    from tunesmith import main as tunesmith
    from tunesmith.train import run as train

    atexit.register(
        lambda: print(json.dumps({"timed": "all", "seconds": time.process_time()}), file=sys.stderr)
    )
    train.record_order = timed("account", train.record_order if account else lambda *_: None)
    steps_alone = [f"stop=[{{budget: {{steps: {steps}}}}}]", "eval.every=100000", "eval.baseline=false"]
    tunesmith(str(RECIPE), [f"run.dir={run}", "run.threads=1", *steps_alone])


def run_seconds(run: Path, steps: int, *, account: bool) -> tuple[float, float]:
    """The processor's seconds of a run, and those of writing the account."""
    shutil.rmtree(run, ignore_errors=True)
    words = [sys.executable, __file__, "--inside", str(run), "--steps", str(steps)]
    words += [] if account else ["--without"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return seconds_said(done.stderr, "all")[0], sum(seconds_said(done.stderr, "account"))


def large(folder: Path, rows: int, batch_size: int, steps: int) -> str:
    """Seconds to write the account of many rows, and to ask it."""
    from tunesmith.data.mixture import make_mixture
    from tunesmith.data.row_order import RowOrder, hash_of_samples
    from tunesmith.report.row_steps import ROWS, rows_of_step, steps_of_row
    from tunesmith.train.record.rows import record_order

    ids = [f"rows.jsonl:{line}" for line in range(1, rows * 10 // 9) if line % 10][:rows]
    order = RowOrder(mixture=make_mixture([0] * len(ids), [None]), batch_size=batch_size, seed=0)
    began = time.perf_counter()
    record_order(folder, ids, order, 0)
    written = time.perf_counter() - began
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(1, steps + 1):
            samples = (
                hash_of_samples([ids[row] for row in order.places(step - 1)]) if step in (1, steps) else None
            )
            file.write(json.dumps({"kind": "train", "step": step, "samples": samples}) + "\n")
    asked = []
    for ask in (
        lambda: rows_of_step(folder, steps),
        lambda: steps_of_row(folder, ids[order.places(steps - 1)[0]]),
    ):
        began = time.perf_counter()
        ask()
        asked.append(time.perf_counter() - began)
    size = (folder / ROWS).stat().st_size / 2**20
    return (
        f"{len(ids):,} rows: written once in {written:.2f} s, {size:.1f} MiB; of {steps:,} steps of "
        f"{batch_size} the rows of one are told in {asked[0]:.1f} s, the steps of one row in {asked[1]:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--inside", metavar="RUN", help=argparse.SUPPRESS)
    parser.add_argument("--without", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside, options.steps, account=not options.without)
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-rows-"))
    try:
        shares, once = [], []
        for number in range(options.pairs):
            taken = {}
            for account in (True, False) if number % 2 == 0 else (False, True):
                taken[account], written = run_seconds(folder / "run", options.steps, account=account)
                once += [written] if account else []
            training = float(records_of(folder / "run", "train")[-1]["seconds"])
            shares.append(100 * (taken[True] / taken[False] - 1))
            print(f"with {taken[True]:.2f} s of the processor, without {taken[False]:.2f} s", flush=True)
        if once:
            spread = ", ".join(f"{share:+.1f} %" for share in sorted(shares))
            print(f"{options.steps} steps with the account against as many without: {spread}")
            part = f"{100 * median(once) / training:.2f} % of the steps"
            print(f"written once, before the first step, in {1000 * median(once):.1f} ms: {part}")
        print(large(folder, 10**6, 64, 20_000))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
