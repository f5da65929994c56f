"""What measuring costs beside training, in the same process: its share of a run's time.

    .venv/bin/python benchmarks/bench_eval.py [--repeat 3] [--recipe recipes/gpt_sft.yaml] [KEY=VALUE ...]
    .venv/bin/python benchmarks/bench_eval.py --read runs/gpt_sft ...

Each way of looking is a fresh run of the recipe; ways take turns. The figures are the run's own: seconds of
its evaluations, the baseline before the first step among them, over seconds of training and evaluating
together, from ``environment.json``. Loading and writing the model are no part of either. What a run reached
and how far it went stand beside it: a way of looking that saves time and loses the goal saves nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
GOAL = 0.08
WAYS: dict[str, tuple[str, ...]] = {
    "as it stands": (),
    "`subset: auto`": ("eval.subset=auto",),
    "`every: auto`": ("eval.every=auto",),
    "`every: auto`, `subset: auto`": ("eval.every=auto", "eval.subset=auto"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run says of itself; seconds are wall-clock time.

    Attributes:
        training: seconds of training.
        evaluating: seconds of all evaluations.
        baseline: seconds of the one before the first step.
        looks: evaluations.
        rows: rows scored, over all of them.
        steps: done when it stopped.
        stop: the rule that stopped it.
        kept: the first metric of the weights kept that is no loss.
    """

    training: float
    evaluating: float
    baseline: float
    looks: int
    rows: int
    steps: int
    stop: str
    kept: str

    @property
    def share(self) -> float:
        """Of evaluations in training and evaluating together."""
        return self.evaluating / (self.training + self.evaluating)


def read_cost(run: Path) -> Cost:
    """The cost of a finished run's measuring, from its directory."""
    used = json.loads((run / "environment.json").read_text())["resources"]
    result = json.loads((run / "result.json").read_text())
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    looks = [record for record in records if record["kind"] == "eval"]
    metrics = result["best"]["metrics"]
    name = next((each for each in metrics if each not in ("loss", "perplexity", "token_accuracy")), "loss")
    return Cost(
        training=used["seconds_training"],
        evaluating=used["seconds_evaluating"],
        baseline=sum(record["seconds"] for record in looks if record["step"] == 0),
        looks=len(looks),
        rows=sum(record["examples"] for record in looks),
        steps=result["stop"]["step"],
        stop=result["stop"]["rule"],
        kept=f"{name} {metrics[name]:.3f}",
    )


def run_once(recipe: Path, folder: Path, settings: Sequence[str]) -> Cost:
    """A fresh run of the recipe to its end."""
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, str(recipe), *settings, f"run.dir={folder}"],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{recipe} {' '.join(settings)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return read_cost(folder)


def table(costs: dict[str, list[Cost]]) -> str:
    """One row a way of looking: medians over its runs, and what the first of them reached."""
    lines = [
        "| looked | share of time | less baseline | evaluations | rows scored | seconds training | end |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, runs in costs.items():
        first = runs[0]
        late = [(one.evaluating - one.baseline) / (one.training + one.evaluating) for one in runs]
        share = median(one.share for one in runs)
        cells = [
            way,
            f"{share:.1%}{'' if share <= GOAL else ' (over the goal)'}",
            f"{median(late):.1%}",
            f"{first.looks}",
            f"{first.rows:,}",
            f"{median(one.training for one in runs):.1f}",
            f"{first.stop} at step {first.steps}, {first.kept}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run every way of looking, or read runs that are there, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "gpt_sft.yaml")
    parser.add_argument("--repeat", type=int, default=3, help="runs a way of looking")
    parser.add_argument("--ways", default="0,1,2,3", help="which of them, from 0: `0,3`")
    parser.add_argument("--read", nargs="+", type=Path, help="finished runs to be read instead")
    parser.add_argument("settings", nargs="*", help="overrides of the recipe, KEY=VALUE")
    options = parser.parse_args()
    if options.read:
        print(table({str(run): [read_cost(run)] for run in options.read}))
        return
    numbers = options.ways.split(",")
    chosen = {way: WAYS[way] for index, way in enumerate(WAYS) if str(index) in numbers}
    costs: dict[str, list[Cost]] = {way: [] for way in chosen}
    folder = Path(tempfile.mkdtemp(prefix="bench-eval-"))
    try:
        for _ in range(options.repeat):
            for way, settings in chosen.items():
                costs[way].append(run_once(options.recipe, folder / "run", [*settings, *options.settings]))
                print(f"{way}: {costs[way][-1].share:.1%}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(costs))


if __name__ == "__main__":
    main()
