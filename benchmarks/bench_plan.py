"""Predicted and measured peak memory of real runs on a processor.

    .venv/bin/python benchmarks/bench_plan.py
    .venv/bin/python benchmarks/bench_plan.py --dtype bfloat16 --steps 60

Every run is a fresh process of `tunesmith run`. What is measured stands in environment.json: the most memory
the process ever held (getrusage), less what it held just before the model was made, when libraries were
imported and the data was read. What is predicted is the plan's, for the same recipe and one process. When
most was held is seen from outside: before the first step, among the steps, or after the last.
Recipes are made on the spot: models from a configuration, rows of random words; in bfloat16 also two that
ship. So many steps are needed there as fill the cache of compiled products, 256 of them: some 10 to 60.
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
import time
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
    """One recipe: size or the file of one that ships, what is trained, how many words a row has."""

    name: str
    size: str = ""
    file: str = ""
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
SHIPPED = (
    Case("recipes/gpt_sft.yaml: 135M, LoRA, merged", file="gpt_sft"),
    Case("recipes/bert_classification.yaml: 23M, whole", file="bert_classification"),
)


def write_recipe(case: Case, folder: Path, steps: int, dtype: str) -> Path:
    """The recipe of a case, and its rows."""
    path = folder / "recipe.yaml"
    if case.file:
        end = {
            "eval": {"every": f"{steps} steps", "baseline": False, "subset": None, "metrics": ["loss"]},
            "data": {"eval": {"holdout": 16}},
            "model": {"dtype": dtype},
            "stop": [{"budget": {"steps": steps}}],
            "run": {"dir": str(folder / "run")},
        }
        base = Path(__file__).resolve().parents[1] / "recipes" / f"{case.file}.yaml"
        path.write_text(yaml.safe_dump({"extends": str(base), **end}))
        return path
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
        "model": {"dtype": dtype, "new": new, "tokenizer": {"train": {"vocab_size": 1000}}},
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
    path.write_text(yaml.safe_dump(recipe))
    return path


def measured(path: Path, steps: int) -> tuple[float, str]:
    """Bytes above the baseline at the peak of a run, and when that was."""
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "tunesmith", "run", str(path)]
    seen: dict[str, int] = {}
    with (path.parent / "log").open("w") as log:
        run = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        while run.poll() is None:
            phase, held = phase_of(path.parent / "run" / "metrics.jsonl", steps), resident(run.pid)
            seen[phase] = max(seen.get(phase, 0), held)
            time.sleep(0.02)
    if run.returncode != 0:
        raise SystemExit((path.parent / "log").read_text()[-2000:])
    resources = json.loads((path.parent / "run" / "environment.json").read_text())["resources"]
    return float(resources["peak_rss_bytes"] - resources["baseline_rss_bytes"]), max(
        seen, key=lambda phase: seen[phase]
    )


def phase_of(journal: Path, steps: int) -> str:
    """Where a run is, by its journal."""
    done = journal.read_text().count('"kind": "train"') if journal.exists() else 0
    return "loading" if done == 0 else "steps" if done < steps else "end"


def resident(process: int) -> int:
    """Kilobytes of a process in memory; 0 once it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")), 0)


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    cases = (*CASES, *(SHIPPED if options.dtype == "bfloat16" else ()))
    print("| recipe | predicted | measured | error | most was held in |\n|---|---|---|---|---|", flush=True)
    for case in (each for each in cases if options.only in each.name):
        folder = Path(tempfile.mkdtemp(prefix="bench-plan-"))
        try:
            path = write_recipe(case, folder, options.steps, options.dtype)
            real, phase = measured(path, options.steps)
            job = estimate(load_recipe(path), folder, dtype=options.dtype).job
            guess = memory_at(job, Sharding(stage=0, processes=1, engine="single"), "cpu").peak
        finally:
            shutil.rmtree(folder)
        print(
            f"| {case.name} | {bytes_text(guess)} | {bytes_text(real)} | {guess / real - 1:+.0%} | {phase} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
