"""Runs over weights in 4 bits: trained, measured, saved, exported; and refused where they cannot be."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="skipped: no bitsandbytes"),
]


def run(run_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tunesmith.cli.main import run; run()", "run"]
    recipe = ["recipes/smoke/causal-lm.yaml", f"run.dir={run_dir}", "tune.lora.rank=4", "eval.every=3 steps"]
    return subprocess.run(
        [*command, *recipe, *words],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=250,
    )


def test_a_run_in_4_bits_leaves_a_plain_model(tmp_path: Path) -> None:
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    run_dir = tmp_path / "run"
    first = run(run_dir, "model.quantize=4bit", "stop=[{budget: {steps: 6}}]")
    assert first.returncode == 0, first.stderr
    assert "4-bit (NF4) frozen linear layers" in first.stdout
    result = json.loads((run_dir / "result.json").read_text())
    assert result["final"]["metrics"]["loss"] < result["baseline"]["metrics"]["loss"]
    # A checkpoint holds what learns, and none of the quantised weights.
    for file in (run_dir / "checkpoints").rglob("weights-*.safetensors"):
        with safe_open(file, framework="pt") as saved:
            assert all("lora_" in name for name in saved.keys())  # noqa: SIM118  # not a dictionary
    opened = AutoModelForCausalLM.from_pretrained(run_dir / "model")
    assert all(parameter.is_floating_point() for parameter in opened.parameters())


@pytest.mark.parametrize("profile", ["cpu_zero3", "cpu_fsdp2"])
def test_profiles_that_shard_weights_refuse_them(profile: str, tmp_path: Path) -> None:
    done = run(tmp_path / "run", "model.quantize=4bit", "--on", profile)
    assert done.returncode == 2, done.stderr
    assert "cannot stand with a profile that shards weights" in done.stderr + done.stdout
    assert "node_zero2" in done.stderr + done.stdout


def test_two_processes_learn_over_them_as_one_does(tmp_path: Path) -> None:
    losses = []
    for number, words in enumerate(([], ["--on", "cpu_2proc"])):
        run_dir = tmp_path / str(number)
        done = run(run_dir, "model.quantize=4bit", "stop=[{budget: {steps: 3}}]", *words)
        assert done.returncode == 0, done.stderr
        lines = (run_dir / "metrics.jsonl").read_text().splitlines()
        losses.append([line["loss"] for line in map(json.loads, lines) if line["kind"] == "train"])
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
