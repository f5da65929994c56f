"""Predicted and measured peak memory of real runs on a processor.

    .venv/bin/python benchmarks/bench_plan.py

Every run is a fresh process of `tunesmith run`. What is measured stands in environment.json: the most memory
the process ever held (getrusage), less what it held just before the model was made, when libraries were
imported and the data was read. What is predicted is the plan's, for the same recipe and one process.
Recipes are made on the spot: models from a configuration, rows of random words.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tunesmith.numbers import bytes_text
from tunesmith.plan.cost.memory import Sharding
from tunesmith.plan.workload import memory_at
from tunesmith.prepare.estimate import estimate
from tunesmith.recipe.load import load_recipe

SIZES: dict[str, dict[str, int]] = {
    "12M": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8, "vocab_size": 16000}
    | {"num_attention_heads": 4, "num_key_value_heads": 2},
    "54M": {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 12, "vocab_size": 32000}
    | {"num_attention_heads": 8, "num_key_value_heads": 4},
    "135M": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152}
    | {"num_attention_heads": 9, "num_key_value_heads": 3},
}


@dataclass(frozen=True)
class Case:
    """One recipe: size, what is trained, how many words a row has."""

    name: str
    size: str
    batch: int = 8
    words: int = 50
    tune: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


LORA = {"lora": {"rank": 8}}
AGAIN = {"checkpointing": True}
CASES = (
    Case("12M, whole", "12M", batch=16),
    Case("12M, whole, recomputed", "12M", batch=16, more=AGAIN),
    Case("54M, whole", "54M"),
    Case("54M, whole, recomputed", "54M", more=AGAIN),
    Case("54M, whole, accumulated", "54M", more={"micro": 2}),
    Case("135M, LoRA", "135M", tune=LORA),
    Case("135M, LoRA, recomputed", "135M", tune=LORA, more=AGAIN),
    Case("135M, whole", "135M"),
    Case("54M, whole, long rows", "54M", batch=2, words=400),
)


def write_recipe(case: Case, folder: Path, steps: int) -> Path:
    """The recipe of a case, and its rows."""
    draw = random.Random(0)
    words = [f"w{index}" for index in range(300)]
    rows = []
    for index in range(200):
        count = draw.randint(int(0.7 * case.words), int(1.3 * case.words))
        rows.append(
            {
                "q": f"{index} " + " ".join(draw.choices(words, k=count)),
                "a": " ".join(draw.choices(words, k=5)),
            }
        )
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    new = {
        "model_type": "llama",
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        **SIZES[case.size],
    }
    recipe = {
        "task": "causal-lm",
        "model": {"dtype": "float32", "new": new, "tokenizer": {"train": {"vocab_size": 1000}}},
        "data": {
            "train": {"source": "./rows.jsonl", "prompt": "{q}", "completion": "a"},
            "eval": {"holdout": 16},
        },
        "tune": case.tune,
        "optimizer": {"learning_rate": 1e-4},
        "batch": {"size": case.batch, "micro": case.batch, **case.more},
        "eval": {"every": f"{steps} steps", "baseline": False, "metrics": ["perplexity"]},
        "stop": [{"budget": {"steps": steps}}],
        "run": {"dir": str(folder / "run")},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def measured(path: Path) -> float:
    """Bytes above the baseline at the peak of a run."""
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "run", str(path)],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    resources = json.loads((path.parent / "run" / "environment.json").read_text())["resources"]
    return float(resources["peak_rss_bytes"] - resources["baseline_rss_bytes"])


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args()
    print("| recipe | predicted | measured | error |\n|---|---|---|---|", flush=True)
    for case in (each for each in CASES if options.only in each.name):
        folder = Path(tempfile.mkdtemp(prefix="bench-plan-"))
        try:
            path = write_recipe(case, folder, options.steps)
            real = measured(path)
            job = estimate(load_recipe(path), folder, dtype="float32").job
            guess = memory_at(job, Sharding(stage=0, processes=1, engine="single"), "cpu").peak
        finally:
            shutil.rmtree(folder)
        print(
            f"| {case.name} | {bytes_text(guess)} | {bytes_text(real)} | {guess / real - 1:+.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
