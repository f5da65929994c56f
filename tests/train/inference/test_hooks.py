"""What a task adds before training, makes before a step, and compares over a batch, in real runs."""

import json
import shutil
from pathlib import Path

import pytest

from launched import environment_of
from tunesmith.train.inference.roll_out import row_random

pytestmark = pytest.mark.slow

RECIPE = """
task: {name: python:hooked:Hooked, near: 0.5}
model:
  dtype: float32
  new: {model_type: bert, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1,
        num_attention_heads: 2, max_position_embeddings: 64}
  tokenizer: {train: {vocab_size: 200}}
data:
  train: {source: ./rows.jsonl, text: text, target: target}
  eval: {holdout: 16}
optimizer: {learning_rate: 5e-3}
batch: {size: 8, micro: 2}
eval: {every: 4 steps, metrics: [mse]}
run: {save_every: 4 steps}
stop: [{budget: {steps: 8}}]
"""
CLOSE = 1e-5
STILL = ("model.new.hidden_dropout_prob=0", "model.new.attention_probs_dropout_prob=0")
"""Each process drops out other units."""
RANKED = ("task={name: python:hooked:Ranked}", *STILL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooked")
    shutil.copy(Path(__file__).with_name("hooked.py"), folder)
    (folder / "recipe.yaml").write_text(RECIPE)
    words = ("cup", "plate", "spoon")
    rows = [{"text": f"{n % 5} {words[n % 3]} on day {n}", "target": n % 5} for n in range(80)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def launch(launcher, folder, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("runs")

    def launch(*arguments, status=0, cache="cache", run="run", **more):
        env = {"TUNESMITH_CACHE": str(tmp_path / cache), "PYTHONDONTWRITEBYTECODE": "1", **more}
        done = launcher.run(
            folder / "recipe.yaml", f"run.dir={tmp_path / run}", *arguments, status=status, **env
        )
        return tmp_path / run, done

    return launch


def test_a_killed_run_goes_on_bit_for_bit(launch, read):
    straight, done = launch(run="straight")
    assert "before the first step, one pass over all 80 examples" in done.out
    assert "before each step, its samples are made by the model as it is" in done.out
    assert "enriched with the first weights: 80 examples, 80 computed" in done.out
    first = read.journal(straight, "train")[0]
    assert set(first["parts"]) == {"fit", "near"}
    assert first["parts"]["near"] == pytest.approx(0, abs=1e-3), "it begins where the first weights are"
    assert read.journal(straight, "train")[-1]["parts"]["near"] > 0.01
    # killed in the second part of what it enriches: the first is kept
    launch(run="killed", cache="own", status=-9, TUNESMITH_FAULT="enrich at=2 do=SIGKILL")
    # killed in the third pass of the sixth step, between two checkpoints
    killed, again = launch(run="killed", cache="own", status=-9, TUNESMITH_FAULT="forward at=23 do=SIGKILL")
    assert "80 examples, 16 computed" in again.out
    shutil.rmtree(killed.parent / "own")  # the first weights are asked again, not those of step 4
    _, last = launch(run="killed", cache="own")
    assert "80 computed" in last.out
    assert read.losses(killed) == read.losses(straight)
    assert read.weights(killed) == read.weights(straight)
    # the same run again finds what was kept; another first weight, another entry
    other, found = launch(run="other", cache="own")
    assert "80 examples, 0 computed; from the cache" in found.out
    assert read.losses(other) == read.losses(straight)
    _, seeded = launch("run.seed=1", "stop=[{budget: {steps: 1}}]", run="seeded", cache="own")
    assert "80 computed" in seeded.out


def assert_close(read, ours: Path, theirs: Path) -> None:
    for one, other in zip(read.journal(ours, "train"), read.journal(theirs, "train"), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=CLOSE), one["step"]
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4), one["step"]


@pytest.fixture(scope="module")
def alone(launch):
    return launch(*STILL, run="alone", cache="apart")[0]


@pytest.fixture(scope="module")
def in_one_pass(launch):
    return launch(*RANKED, "batch.micro=8", run="in-one-pass")


@pytest.mark.parametrize("profile", ["cpu_2proc", "cpu_zero3", "cpu_fsdp2"])
@pytest.mark.matrix(sample=2)
def test_two_processes_make_and_learn_what_one_does(launch, read, alone, profile):
    shared, done = launch(*STILL, run=profile, cache=profile, processes=2, **environment_of(profile))
    assert "80 computed" in done.out
    assert_close(read, shared, alone)


@pytest.mark.parametrize("profile", ["cpu_2proc", "cpu_zero3", "cpu_fsdp2"])
@pytest.mark.matrix(sample=1)
def test_a_loss_over_the_batch_is_that_of_one_pass_on_one_process(launch, read, in_one_pass, profile):
    assert "each sample is compared with all 8 of its step" in in_one_pass[1].out
    shared, _ = launch(*RANKED, run=f"ranked {profile}", processes=2, **environment_of(profile))
    assert_close(read, shared, in_one_pass[0])
    losses = list(read.journal(shared, "train"))
    assert losses[-1]["loss"] < losses[0]["loss"]


def test_a_row_draws_by_seed_step_and_its_name_alone():
    drawn = row_random(0, 3, "rows.jsonl:7").random(4).tolist()
    assert row_random(0, 3, "rows.jsonl:7").random(4).tolist() == drawn
    others = [(1, 3, "rows.jsonl:7"), (0, 4, "rows.jsonl:7"), (0, 3, "rows.jsonl:8"), (0, 37, "rows.jsonl:")]
    assert all(row_random(*other).random(4).tolist() != drawn for other in others)
