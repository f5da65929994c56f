"""From the command to the first step, sharded by ZeRO: a recipe beside an empty DeepSpeed loop.

    .venv/bin/python benchmarks/bench_launch.py

Both are started by stock `accelerate launch` with the same profile, make the same model from nothing, and are
timed from the start of that command to the end of the first optimiser step. The loop does nothing else: no
data, no recipe, no checkpoint. The recipe's baseline is left out, as the loop has none. Runs alternate; the
figure is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "smoke" / "causal-lm.yaml"
LOOP = """\
import os, sys
os.environ.setdefault("DS_ACCELERATOR", "cpu")
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from transformers import AutoConfig, AutoModelForCausalLM
accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(backend="gloo")])
accelerator.state.deepspeed_plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = 8
config = AutoConfig.for_model("llama", vocab_size=320, hidden_size=64, intermediate_size=128,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128)
model = AutoModelForCausalLM.from_config(config)
model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=1e-3))
ids = torch.randint(0, 320, (8, 20))
accelerator.backward(model(input_ids=ids, labels=ids).loss)
optimizer.step()
open(sys.argv[1], "w").close()
"""


def seconds_until(command: list[str], sign: Path, text: str) -> float:
    """Seconds from the start of a command until a file has a text in it; the command runs to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    start = time.monotonic()
    launched = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (sign.exists() and text in sign.read_text()):
        assert launched.poll() is None or sign.exists(), f"ended with {launched.returncode}: {command}"
        time.sleep(0.02)
    seconds = time.monotonic() - start
    launched.wait()
    return seconds


def pair(profile: Path, folder: Path) -> tuple[float, float]:
    """Seconds of the recipe and of the empty loop."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(profile)]
    run_dir, sign, loop = folder / "run", folder / "stepped", folder / "loop.py"
    loop.write_text(LOOP)
    settings = [f"run.dir={run_dir}", "stop=[{budget: {steps: 1}}]", "eval.baseline=false", "eval.limit=2"]
    ours = seconds_until([*launch, str(RECIPE), *settings], run_dir / "metrics.jsonl", '"train"')
    theirs = seconds_until([*launch, str(loop), str(sign)], sign, "")
    return ours, theirs


def main() -> None:
    """Print the pairs and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="cpu_zero3")
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    ratios = []
    for number in range(asked.pairs):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = pair(ROOT / "launcher" / f"{asked.profile}.yaml", Path(folder))
        ratios.append(ours / theirs)
        print(f"pair {number + 1}: recipe {ours:.1f} s, empty loop {theirs:.1f} s, ratio {ratios[-1]:.2f}")
    print(f"{asked.profile}: median ratio {median(ratios):.2f}")


if __name__ == "__main__":
    main()
