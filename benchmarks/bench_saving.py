"""What checkpoints cost: training time with and without them, and how soon a run that was ended learns again.

    .venv/bin/python benchmarks/bench_saving.py --pairs 3

Runs the demo's recipe for some steps, without evaluations, in turns: with a checkpoint every 50 steps, and
with only the last one. Compared is the time from the first to the last step, by the run's own clock. Then
the time from the command to the first recorded step, of a fresh run and of one that goes on from its
checkpoint, in turns.

Where other work makes steps differ by more than a checkpoint costs, pairs tell little. So one more run
measures saving itself: how long the thread that trains is held up, and how long the one that writes takes.
Their sum is what saving would cost if training stood still all the while; it does so for the first only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from timing import records_of, seconds_said, timed

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "gpt_sft.yaml"
ALONE = ["eval.every=100000", "eval.baseline=false", "eval.metrics=[perplexity]", "eval.limit=8"]


def command(run: Path, steps: int, every: int) -> list[str]:
    more = [f"stop=[{{budget: {{steps: {steps}}}}}]", f"run.save_every={every}", f"run.dir={run}"]
    return [sys.executable, str(RECIPE), *ALONE, *more]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


def training_seconds(run: Path, steps: int, every: int) -> float:
    """Seconds between the first and the last step."""
    shutil.rmtree(run, ignore_errors=True)
    subprocess.run(command(run, steps, every), check=True, stdout=subprocess.DEVNULL, env=environment())
    clock = [record["seconds"] for record in records_of(run, "train")]
    return float(clock[-1] - clock[0])


def seconds_to_a_step(run: Path, steps: int) -> float:
    """Seconds from the command to the first step that is recorded; the run is ended then."""
    journal = run / "metrics.jsonl"
    before = journal.read_text().count('"train"') if journal.exists() else 0
    began = time.monotonic()
    process = subprocess.Popen(command(run, steps, 2), stdout=subprocess.DEVNULL, env=environment())
    while not journal.exists() or journal.read_text().count('"train"') <= before:
        assert process.poll() is None, "the run ended by itself"
        time.sleep(0.02)
    taken = time.monotonic() - began
    while len(list((run / "checkpoints").glob("step-????????"))) == 0:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait()
    return taken


def inside(run: str) -> None:
    """Run the recipe with a checkpoint every 50 steps, and print the seconds of each part of saving."""
    from tunesmith import main as tunesmith
    from tunesmith.checkpoint.saver import Saver
    from tunesmith.train import loop

    held, written = loop.save_state, Saver._carry_out

    loop.save_state = timed("held", held)
    Saver._carry_out = timed("written", written)  # type: ignore[method-assign]
    tunesmith(str(RECIPE), command(Path(run), 110, 50)[2:])


def cost_inside(run: Path) -> tuple[list[float], list[float], float]:
    """Seconds for which each save held training up, and for which each was written; and of training."""
    words = [sys.executable, __file__, "--inside", str(run)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment())
    clock = [record["seconds"] for record in records_of(run, "train")]
    held, written = (seconds_said(done.stderr, name) for name in ("held", "written"))
    return held, written, float(clock[-1] - clock[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=110)
    parser.add_argument("--inside", metavar="RUN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside)
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-saving-"))
    try:
        held, written, training = cost_inside(folder / "inside")
        each, most = median(held), (sum(held[:2]) + sum(written[:2])) / training
        print(
            f"a checkpoint holds training up for {each:.3f} s and is written in {median(written):.2f} s; "
            f"every 50 steps: {100 * sum(held[:2]) / training:.2f} % of training, {100 * most:.2f} % at most"
        )
        pairs = []
        for number in range(options.pairs):
            order = (50, 10**6) if number % 2 == 0 else (10**6, 50)
            taken = {every: training_seconds(folder / "run", options.steps, every) for every in order}
            pairs.append((taken[50], taken[10**6]))
            print(f"saving {taken[50]:.2f} s, not saving {taken[10**6]:.2f} s", file=sys.stderr, flush=True)
        starts = []
        for number in range(max(options.pairs, 3)):
            place = folder / f"start-{number}"
            starts.append((seconds_to_a_step(place, 10**4), seconds_to_a_step(place, 10**4)))
            print(f"fresh {starts[-1][0]:.2f} s, again {starts[-1][1]:.2f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if pairs:
        stall = median(saving / none - 1 for saving, none in pairs)
        print(f"saving every 50 steps: {100 * stall:+.1f} % of training time (median of {len(pairs)} pairs)")
    fresh, again = median(each[0] for each in starts), median(each[1] for each in starts)
    ratio = median(second / first for first, second in starts)
    print(f"to the first step: fresh {fresh:.1f} s, going on {again:.1f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
