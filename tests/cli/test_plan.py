"""``tunesmith plan`` as a user gives it: real processes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith.model.processors import train_tokenizer

ROOT = Path(__file__).parents[2]
Plan = Callable[..., tuple[str, str]]
SMOKE = ROOT / "recipes" / "smoke" / "causal-lm.yaml"


@pytest.fixture
def plan(launcher: Any) -> Plan:
    """Carry out a plan, and give both streams."""

    def act(*arguments: str, status: int = 0) -> tuple[str, str]:
        done = launcher.command("plan", *arguments, status=status, cwd=ROOT, CUDA_VISIBLE_DEVICES="")
        return done.out, done.err

    return act


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
def test_a_70b_model_is_planned_without_its_weights(plan: Plan, seventy: Path) -> None:
    out, _ = plan(str(seventy), "--on", "node_zero3")
    assert "70,553,706,496 parameters (100.00%)" in out
    for stage in ("stage 0", "stage 1", "stage 2", "stage 3", "stage 3 offload", "FSDP2"):
        assert re.search(rf"^{stage} .*[KMGT]iB", out, re.M), out
    assert "--config_file launcher/node_zero3.yaml --num_processes 8" in out
    assert "master weights" in out
    assert not (seventy.parent / "run").exists()


@pytest.mark.slow
def test_a_cluster_that_is_not_here(plan: Plan, seventy: Path) -> None:
    out, _ = plan(str(seventy), "--cluster", "4x8xH100")
    assert "32 devices of 80.0 GiB, 989 TFLOP/s" in out
    assert re.search(r"^choice     ZeRO-3", out, re.M)
    assert re.search(r"^speed +[\d,]+ tokens a second, [\d,]+ for each device; \d+% of the peak", out, re.M)
    assert re.search(r"^time +\S+ \S+ for \d+ steps of 64", out, re.M)


@pytest.mark.slow
def test_the_table_has_a_row_for_1_to_512_devices_and_what_bounds_it(plan: Plan, seventy: Path) -> None:
    out, _ = plan(str(seventy), "tune.lora={rank: 16}", "--table")
    rows = [line.split() for line in out.splitlines() if re.match(r"\d+ ", line)]
    assert [row[0] for row in rows] == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"]
    assert {row[-1] for row in rows[3:]} <= {"arithmetic", "memory", "network"}
    assert "* the recipe's batch of 64 cannot be shared among so many" in out


@pytest.mark.slow
def test_two_processes_on_a_processor(plan: Plan) -> None:
    out, _ = plan(str(SMOKE.relative_to(ROOT)), "--on", "cpu_2proc")
    assert "batch      16 = 8 a pass x 1 accumulated x 2 processes" in out
    assert re.search(r"^stage 0 .*fits <-$", out, re.M)
    assert re.search(r"^choice     cpu_2proc: everything fits", out, re.M)
    command = next(line for line in out.splitlines() if line.startswith("command"))
    assert command.split()[1:5] == ["accelerate", "launch", "--config_file", "launcher/cpu_2proc.yaml"]


@pytest.mark.slow
def test_without_a_profile_it_is_this_machine(plan: Plan) -> None:
    out, _ = plan(str(SMOKE.relative_to(ROOT)))
    assert "traffic    none: one process" in out
    assert out.rstrip().endswith("command    accelerate launch recipes/smoke/causal-lm.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sequence-classification", "regression", "image-classification"])
def test_other_tasks_are_planned_too(plan: Plan, kind: str) -> None:
    out, _ = plan(f"recipes/smoke/{kind}.yaml", "--on", "cpu")
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
def test_mistakes_are_told_with_the_way_out(plan: Plan, arguments: list[str], said: str) -> None:
    _, err = plan(str(SMOKE.relative_to(ROOT)), *arguments, status=2)
    assert said in err
    assert "hint: " in err
    assert "Traceback" not in err
