"""``tunesmith plan`` as a user gives it: real processes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith.model.processors import train_tokenizer

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "recipes" / "smoke" / "causal-lm.yaml"


def _plan(*arguments: str) -> tuple[int, str, str]:
    """Status and both streams of a plan."""
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "plan", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environ,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def seventy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe on a folder with Llama-3-70B's published dimensions, and no weights."""
    folder = tmp_path_factory.mktemp("seventy")
    rows = [{"q": f"what is {i}", "a": f"it is {i + 1}"} for i in range(300)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    train_tokenizer([row["q"] + row["a"] for row in rows], 300, encoder=False).save_pretrained(
        folder / "model"
    )
    config = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 128000,
        "eos_token_id": 128001,
        "hidden_act": "silu",
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "max_position_embeddings": 8192,
        "model_type": "llama",
        "num_attention_heads": 64,
        "num_hidden_layers": 80,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 128256,
    }
    (folder / "model" / "config.json").write_text(json.dumps(config))
    recipe: dict[str, Any] = {
        "task": "causal-lm",
        "model": {"source": "./model"},
        "data": {"train": {"source": "./rows.jsonl", "prompt": "{q}", "completion": "a"}},
        "optimizer": {"learning_rate": 1e-5},
        "batch": {"size": 64},
        "run": {"dir": str(folder / "run")},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


@pytest.mark.slow
def test_a_70b_model_is_planned_without_its_weights(seventy: Path) -> None:
    status, out, err = _plan(str(seventy), "--on", "node_zero3")
    assert status == 0, err
    assert "70,553,706,496 parameters (100.00%)" in out
    for stage in ("stage 0", "stage 1", "stage 2", "stage 3", "stage 3 offload", "FSDP2"):
        assert re.search(rf"^{stage} .*[KMGT]iB", out, re.M), out
    assert "--config_file launcher/node_zero3.yaml --num_processes 8" in out
    assert "master weights" in out
    assert not (seventy.parent / "run").exists()


@pytest.mark.slow
def test_a_cluster_that_is_not_here(seventy: Path) -> None:
    status, out, err = _plan(str(seventy), "--cluster", "4x8xH100")
    assert status == 0, err
    assert "32 devices of 80.0 GiB, 989 TFLOP/s" in out
    assert re.search(r"^choice     ZeRO-3", out, re.M)
    assert re.search(r"^speed +[\d,]+ tokens a second, [\d,]+ for each device; \d+% of the peak", out, re.M)
    assert re.search(r"^time +\S+ \S+ for \d+ steps of 64", out, re.M)


@pytest.mark.slow
def test_the_table_has_a_row_for_1_to_512_devices_and_what_bounds_it(seventy: Path) -> None:
    status, out, err = _plan(str(seventy), "tune.lora={rank: 16}", "--table")
    assert status == 0, err
    rows = [line.split() for line in out.splitlines() if re.match(r"\d+ ", line)]
    assert [row[0] for row in rows] == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"]
    assert {row[-1] for row in rows[3:]} <= {"arithmetic", "memory", "network"}
    assert "* the recipe's batch of 64 cannot be shared among so many" in out


@pytest.mark.slow
def test_two_processes_on_a_processor() -> None:
    status, out, err = _plan(str(SMOKE.relative_to(ROOT)), "--on", "cpu_2proc")
    assert status == 0, err
    assert "batch      16 = 8 a pass x 1 accumulated x 2 processes" in out
    assert re.search(r"^stage 0 .*fits <-$", out, re.M)
    assert re.search(r"^choice     cpu_2proc: everything fits", out, re.M)
    command = next(line for line in out.splitlines() if line.startswith("command"))
    assert command.split()[1:5] == ["accelerate", "launch", "--config_file", "launcher/cpu_2proc.yaml"]


@pytest.mark.slow
def test_without_a_profile_it_is_this_machine() -> None:
    status, out, err = _plan(str(SMOKE.relative_to(ROOT)))
    assert status == 0, err
    assert "traffic    none: one process" in out
    assert out.rstrip().endswith("command    accelerate launch recipes/smoke/causal-lm.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sequence-classification", "regression", "image-classification"])
def test_other_tasks_are_planned_too(kind: str) -> None:
    status, out, err = _plan(f"recipes/smoke/{kind}.yaml", "--on", "cpu")
    assert status == 0, err
    row = re.search(r"^stage 0 +(.*)$", out, re.M)
    assert row is not None
    assert " 0 B" not in row[1].split("  ")[3]
    assert re.search(r"FLOP for each of the", out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cluster", "8xH10O"], "no device is called `H10O`"),
        (["--cluster", "plenty"], "`--cluster plenty` is no cluster"),
        (["--on", "nod"], "there is no profile `nod`"),
        (["batch.size=7", "--on", "cpu_2proc"], "cannot be divided among 2 processes"),
    ],
)
def test_mistakes_are_told_with_the_way_out(arguments: list[str], said: str) -> None:
    status, _, err = _plan(str(SMOKE.relative_to(ROOT)), *arguments)
    assert status == 2
    assert said in err
    assert "hint: " in err
    assert "Traceback" not in err
