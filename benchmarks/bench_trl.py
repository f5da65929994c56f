"""The demo's fine-tuning beside TRL's SFTTrainer: same model, rows, order, LoRA, batch, rate and steps.

Each measurement is a fresh process; ours and theirs alternate (A B B A), and the ratio of each pair is
taken, so that a machine that is busy for a while slows both. Two arms of TRL: as it comes (bfloat16
autocast and gradient checkpointing, its defaults), and tuned by hand for this processor (float32 without
recomputation where bfloat16 has no hardware, else bfloat16 weights). Tokens are those of the samples,
padding not counted, the same for all.

    python benchmarks/bench_trl.py [--pairs 3] [--steps 14] [--default-steps 5] [--arms tuned default]
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
from typing import ClassVar

from tunesmith.recipe.tasks.language import CAUSAL_LM

WARM = 2
BATCH = 8
RATE = 1e-3
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>"
    "{{ '\n' if m['role'] != 'assistant' else '' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def prepare(folder: Path, rows: int) -> None:
    """The demo's rows as conversations, and its model as a plain folder."""
    import torch
    from transformers import AutoModelForCausalLM

    from tunesmith.data.load import load_rows
    from tunesmith.model.load import Head, load_config, load_model
    from tunesmith.model.processors import load_tokenizer
    from tunesmith.recipe.load import load_recipe

    recipe = load_recipe(ROOT / "recipes" / "gpt_sft.yaml")
    loaded = load_rows(recipe.data, CAUSAL_LM.row_schema, 0)
    with (folder / "rows.jsonl").open("w") as file:
        for row in loaded.train[:rows]:
            messages = [{"role": "system", "content": SYSTEM}, *row.fields["messages"]]
            file.write(json.dumps({"messages": messages}) + "\n")
    head = Head(CAUSAL_LM)
    model, _ = load_model(recipe.model, head, load_config(recipe.model, head), torch.float32)
    assert isinstance(model, AutoModelForCausalLM._model_mapping[type(model.config)])
    model.save_pretrained(folder / "base")
    tokenizer = load_tokenizer(recipe.model, (), encoder=False)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder / "base")


def ours(folder: Path, steps: int) -> dict[str, list[float]]:
    """Train through tunesmith's own command path; seconds and losses of each step from its log."""
    from tunesmith.prepare.base_model import PlannedRun
    from tunesmith.recipe.load import load_recipe
    from tunesmith.train.run import run_recipes

    recipe = {
        "task": "causal-lm",
        "model": {"source": str(folder / "base")},
        "data": {
            "train": {"source": str(folder / "rows.jsonl"), "messages": "messages"},
            "eval": {"source": str(folder / "eval.jsonl"), "messages": "messages"},
            "clean": {"duplicates": "keep", "leakage": "keep"},
        },
        "tune": {"lora": {"rank": 8, "alpha": 16}},
        "optimizer": {"learning_rate": RATE, "schedule": "constant", "warmup": 0},
        "batch": {"size": BATCH},
        "eval": {"baseline": False, "every": "1000 steps"},
        "stop": [{"budget": {"steps": steps}}],
        "run": {"dir": tempfile.mkdtemp(dir=folder) + "/run", "merge": "no"},
    }
    path = folder / "ours.yaml"
    path.write_text(json.dumps(recipe))
    (folder / "eval.jsonl").write_text((folder / "rows.jsonl").read_text().splitlines()[0] + "\n")
    loaded = load_recipe(path)
    run_recipes([PlannedRun(loaded, folder)])
    lines = (Path(str(loaded.run.dir)) / "metrics.jsonl").read_text().splitlines()
    train = [record for record in map(json.loads, lines) if record["kind"] == "train"]
    return {"ends": [r["seconds"] for r in train], "losses": [r["loss"] for r in train]}


def theirs(folder: Path, steps: int, *, tuned: bool) -> dict[str, list[float]]:
    """Train with SFTTrainer on the same samples in the same order."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from tunesmith.data.mixture import samples_of_step
    from tunesmith.model.precision import cpu_multiplies_bfloat16

    class InOrder(SFTTrainer):
        def _get_train_sampler(self, *args: object, **kwargs: object) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    class Clock(TrainerCallback):
        ends: ClassVar[list[float]] = []

        def on_step_end(self, *args: object, **kwargs: object) -> None:
            self.ends.append(time.monotonic())

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    rows = [json.loads(line)["messages"] for line in (folder / "rows.jsonl").read_text().splitlines()]
    order = [index for step in range(steps) for index in samples_of_step(step, BATCH, len(rows), 0)]
    data = Dataset.from_list([{"prompt": rows[i][:-1], "completion": rows[i][-1:]} for i in order])
    fast = cpu_multiplies_bfloat16()
    weights = torch.bfloat16 if tuned and fast else torch.float32
    trainer = InOrder(
        model=AutoModelForCausalLM.from_pretrained(folder / "base", dtype=weights),
        processing_class=AutoTokenizer.from_pretrained(folder / "base"),
        train_dataset=data,
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Clock()],
        args=SFTConfig(
            output_dir=str(folder / "trl"),
            per_device_train_batch_size=BATCH,
            max_steps=steps,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            seed=0,
            use_cpu=True,
            **({"bf16": fast, "gradient_checkpointing": False} if tuned else {}),
        ),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"ends": Clock.ends, "losses": losses}


def measure(arm: str, folder: Path, steps: int) -> dict[str, list[float]]:
    """One arm in a fresh process."""
    out = folder / f"{arm}.json"
    command = [sys.executable, __file__, "--arm", arm, "--folder", str(folder), "--steps", str(steps)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{arm} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return json.loads(out.read_text())


def seconds_a_step(result: dict[str, list[float]]) -> float:
    """Median seconds of a step, the first ones left out."""
    ends = result["ends"]
    return statistics.median(b - a for a, b in zip(ends[WARM - 1 :], ends[WARM:], strict=False))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--default-steps", type=int, default=5)
    parser.add_argument("--arms", nargs="+", choices=("tuned", "default"), default=["tuned", "default"])
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        run = {"ours": ours, "default": theirs, "tuned": theirs}[options.arm]
        extra = {} if options.arm == "ours" else {"tuned": options.arm == "tuned"}
        result = run(options.folder, options.steps, **extra)
        (options.folder / f"{options.arm}.json").write_text(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, rows=1000)
        ratios: dict[str, list[float]] = {arm: [] for arm in options.arms}
        steps_of = {"tuned": options.steps, "default": options.default_steps}
        for pair in range(options.pairs):
            for arm in options.arms:
                steps = steps_of[arm]
                both = ["ours", arm] if pair % 2 == 0 else [arm, "ours"]
                results = {
                    each: measure(each, folder, options.steps if each == "ours" else steps) for each in both
                }
                ours_, other = seconds_a_step(results["ours"]), seconds_a_step(results[arm])
                ratios[arm].append(other / ours_)
                print(
                    f"pair {pair + 1}: ours {ours_:.2f} s, TRL {arm} {other:.2f} s, {other / ours_:.2f} times"
                )
                pairs = zip(results["ours"]["losses"], results[arm]["losses"], strict=False)
                print("  losses " + "  ".join(f"{a:.3f}/{b:.3f}" for a, b in pairs), flush=True)
        for arm, values in ratios.items():
            print(f"TRL {arm}: ours is {statistics.median(values):.2f} times as fast (of {sorted(values)})")


if __name__ == "__main__":
    main()
