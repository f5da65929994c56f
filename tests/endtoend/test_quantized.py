"""Runs over weights in 4 bits: trained, measured, saved, exported; and refused where they cannot be.

Several processes have here the environment that Accelerate gives them, and are forked from a warm one.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from launched import environment_of

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="skipped: no bitsandbytes"),
]


@pytest.fixture
def run(launcher):
    def act(run_dir: Path, *words: str, **options):
        words = (f"run.dir={run_dir}", "tune.lora.rank=4", "eval.every=3 steps", *words)
        return launcher.run("causal-lm", *words, cwd=ROOT, CUDA_VISIBLE_DEVICES="", **options)

    return act


def test_a_run_in_4_bits_leaves_a_plain_model(run, tmp_path: Path) -> None:
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    run_dir = tmp_path / "run"
    first = run(run_dir, "model.quantize=4bit", "stop=[{budget: {steps: 6}}]")
    assert "4-bit (NF4) frozen linear layers" in first.out
    result = json.loads((run_dir / "result.json").read_text())
    assert result["final"]["metrics"]["loss"] < result["baseline"]["metrics"]["loss"]
    # A checkpoint holds what learns, and none of the quantised weights.
    for file in (run_dir / "checkpoints").rglob("weights-*.safetensors"):
        with safe_open(file, framework="pt") as saved:
            assert all("lora_" in name for name in saved.keys())  # noqa: SIM118  # not a dictionary
    opened = AutoModelForCausalLM.from_pretrained(run_dir / "model")
    assert all(parameter.is_floating_point() for parameter in opened.parameters())


@pytest.mark.parametrize("profile", ["cpu_zero3", "cpu_fsdp2"])
def test_profiles_that_shard_weights_refuse_them(run, profile: str, tmp_path: Path) -> None:
    options = {"processes": 2, **environment_of(profile)}
    done = run(tmp_path / "run", "model.quantize=4bit", status=2, **options)
    assert "cannot stand with a profile that shards weights" in done.err + done.out
    assert "node_zero2" in done.err + done.out


def test_two_processes_learn_over_them_as_one_does(run, tmp_path: Path) -> None:
    losses = []
    for number, options in enumerate(({}, {"processes": 2, **environment_of("cpu_2proc")})):
        run_dir = tmp_path / str(number)
        run(run_dir, "model.quantize=4bit", "stop=[{budget: {steps: 3}}]", **options)
        lines = (run_dir / "metrics.jsonl").read_text().splitlines()
        losses.append([line["loss"] for line in map(json.loads, lines) if line["kind"] == "train"])
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
