"""How long `tunesmith plan` takes, beside a process that only imports what it needs.

.venv/bin/python benchmarks/bench_plan_time.py [--repeat 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LLAMA_70B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "torch_dtype": "bfloat16",
}
IMPORTS = "import torch, transformers; from transformers import PreTrainedTokenizerFast"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeat", type=int, default=5)
    repeat = arguments.parse_args().repeat
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder)
        plan = [sys.executable, "-m", "tunesmith", "plan"]
        smoke, demo = str(ROOT / "recipes/smoke/causal-lm.yaml"), str(ROOT / "recipes/gpt_sft.yaml")
        large = ["model.new=null", "model.tokenizer=null", f"model.source={folder}"]
        commands = {
            "imports alone": [sys.executable, "-c", IMPORTS],
            "a 70B model, --cluster 4x8xH100": [*plan, smoke, *large, "--cluster", "4x8xH100"],
            "a 70B model, --table": [*plan, smoke, *large, "--table"],
            "smoke/causal-lm.yaml --on cpu_zero3": [*plan, smoke, "--on", "cpu_zero3"],
            "gpt_sft.yaml --on cpu_zero3 (15,452 rows)": [*plan, demo, "--on", "cpu_zero3"],
        }
        for command in commands.values():  # what is encoded once is read from the cache afterwards
            seconds_of(command)
        taken = [{what: seconds_of(command) for what, command in commands.items()} for _ in range(repeat)]
    for what in commands:
        each = sorted(one[what] for one in taken)
        print(f"{what:45} median {statistics.median(each):.2f} s  {each[0]:.2f} to {each[-1]:.2f}")


def make_model(folder: Path) -> None:
    """A folder with the configuration of a 70B model, a small tokenizer and no weights."""
    from tunesmith.model.processors import train_tokenizer

    (folder / "config.json").write_text(json.dumps(LLAMA_70B))
    train_tokenizer(["a few words to begin with"], 400, encoder=False).save_pretrained(folder)


def seconds_of(command: list[str]) -> float:
    began = time.perf_counter()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=ROOT)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
