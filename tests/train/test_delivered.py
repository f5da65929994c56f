"""The finished model has the weights that are named, and scores what is said, however a run went on."""

import json

import pytest
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

RECIPE = """\
task: sequence-classification
model:
  dtype: float32
  new:
    model_type: bert
    hidden_size: 16
    intermediate_size: 32
    num_hidden_layers: 1
    num_attention_heads: 2
    max_position_embeddings: 32
    hidden_dropout_prob: 0.0
    attention_probs_dropout_prob: 0.0
  tokenizer: {train: {vocab_size: 300}}
data:
  train: {source: ./rows.jsonl, text: text, label: label}
  eval: {source: ./held_out.jsonl, text: text, label: label}
  clean: {duplicates: keep, leakage: keep}
optimizer: {learning_rate: 1e-2, schedule: constant, warmup: 0}
batch: {size: 16}
eval:
  every: 5 steps
  metrics: [accuracy]
  sets: {other: {source: ./other.jsonl, text: text, label: label}}
stop: [{plateau: {metric: accuracy, patience: 90 epochs}}, {budget: {steps: 15}}]
run: {dir: run, seed: 0, keep: 9}
"""
PLATEAU = "{plateau: {metric: accuracy, patience: 90 epochs}}"
GUARD = "{guard: {metric: other/loss, max_drop: 0.01, sure: 99.9%}}"


@pytest.fixture
def recipe(tmp_path):
    """Colours of things; in the other set every label is the wrong one, so that learning makes it worse."""
    words = [("red", "warm"), ("blue", "cold"), ("orange", "warm"), ("green", "cold")]
    rows = [{"text": f"{word} {n}", "label": label} for n in range(60) for word, label in words]
    swapped = {"warm": "cold", "cold": "warm"}
    other = [{**row, "label": swapped[row["label"]]} for row in rows[:40]]
    for name, content in (("rows", rows[:160]), ("held_out", rows[160:]), ("other", other)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


def same_weights(model, folder) -> bool:
    """Whether a finished model has the weights of a folder of the run."""
    ours, theirs = load_file(model / "model.safetensors"), load_file(folder / "weights.safetensors")
    assert theirs.keys() <= ours.keys(), theirs.keys() - ours.keys()
    return all((ours[name] == value).all() for name, value in theirs.items())


def told(run_dir, launched) -> dict:
    """The result, once everything that is said of the finished model says the same."""
    result = json.loads((run_dir / "result.json").read_text())
    given = result["delivered"]
    step, rows = given["step"], 80
    folders = [run_dir / kind / f"step-{step:08d}" for kind in ("best", "checkpoints")]
    there = [folder for folder in folders if folder.is_dir()]
    assert there
    assert all(same_weights(run_dir / "model", folder) for folder in there), f"not step {step}"
    others = [one for one in (run_dir / "checkpoints").iterdir() if one.name != f"step-{step:08d}"]
    assert not any(same_weights(run_dir / "model", one) for one in others)
    assert given["examples"] == rows
    assert given["weights"] == f"step {step}"
    scores = [json.loads(line) for line in (run_dir / "scores.jsonl").read_text().splitlines()]
    right = sum(one["prediction"] == one["reference"] for one in scores) / rows
    assert given["metrics"]["accuracy"] == pytest.approx(right)
    assert len(scores) == rows
    card = (run_dir / "model" / "README.md").read_text()
    assert f"Weights of step {step}." in card
    assert f"| accuracy | {given['metrics']['accuracy']:.4f} |" in card
    assert f"step {step}" in result["explanation"]
    assert result["explanation"] in launched.out
    return result


def test_a_guard_that_is_taken_away_and_put_back(launcher, recipe):
    """Without the guard the best step comes back from its checkpoint; with it the untrained weights do."""
    run_dir = recipe.parent / "run"
    guarded = f"stop=[{PLATEAU}, {GUARD}, {{budget: {{steps: 15}}}}]"
    free = f"stop=[{PLATEAU}, {{budget: {{steps: 15}}}}]"
    first = launcher.run(recipe, guarded, "run.dir=run", cwd=recipe.parent)
    result = told(run_dir, first)
    assert result["delivered"]["step"] == 0
    assert "barred by the guard on other/loss" in result["explanation"]
    assert "note: these weights cannot be kept, barred by the guard on other/loss: " in first.out
    second = launcher.run(recipe, free, "run.dir=run", "--accept-changes", cwd=recipe.parent)
    result = told(run_dir, second)
    assert result["delivered"]["step"] > 0
    assert "the weights kept are now those of step" in second.out
    assert "guard" not in result["explanation"]
    third = launcher.run(recipe, guarded, "run.dir=run", "--accept-changes", cwd=recipe.parent)
    assert told(run_dir, third)["delivered"]["step"] == 0


def test_more_budget_and_another_stop(launcher, recipe):
    run_dir = recipe.parent / "run"
    launcher.run(recipe, "run.dir=run", cwd=recipe.parent)
    more = f"stop=[{PLATEAU}, {{budget: {{steps: 25}}}}]"
    told(run_dir, launcher.run(recipe, more, "run.dir=run", "--accept-changes", cwd=recipe.parent))
    other = "stop=[{plateau: {metric: other/loss, patience: 90 epochs}}, {budget: {steps: 25}}]"
    last = launcher.run(recipe, other, "run.dir=run", "--accept-changes", cwd=recipe.parent)
    result = told(run_dir, last)
    assert result["delivered"]["step"] == 0, "the loss of the other set is best before training"
    assert result["chosen_by"] == {
        "metric": "other/loss",
        "rule": "plateau",
        "where": "stop.0.plateau",
        "rows": 40,
        "warning": result["chosen_by"]["warning"],
    }


def test_weights_that_are_gone_are_said_to_be(launcher, recipe):
    run_dir = recipe.parent / "run"
    guarded = f"stop=[{PLATEAU}, {GUARD}, {{budget: {{steps: 15}}}}]"
    launcher.run(recipe, guarded, "run.dir=run", "run.keep=1", cwd=recipe.parent)
    journal = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    scores = {one["step"]: one["metrics"]["accuracy"] for one in journal if one["kind"] == "eval"}
    scores[15] = scores.pop(15) - 1  # so that the best is not the one checkpoint that is there
    best = max(scores, key=lambda step: (scores[step], -step))
    free = f"stop=[{PLATEAU}, {{budget: {{steps: 15}}}}]"
    going = launcher.run(recipe, free, "run.dir=run", "run.keep=1", "--accept-changes", cwd=recipe.parent)
    result = told(run_dir, going)
    if max(scores.values()) >= result["delivered"]["metrics"]["accuracy"]:
        assert f"is step {best} with" in result["explanation"]
        assert "whose weights are gone" in result["explanation"]
        assert "whose weights are gone" in going.out


@pytest.mark.parametrize("mode", ["inline", pytest.param("async", marks=pytest.mark.long)])
def test_beside_training_as_well(launcher, recipe, mode):
    run_dir = recipe.parent / "run"
    guarded = f"stop=[{PLATEAU}, {GUARD}, {{budget: {{steps: 15}}}}]"
    more = f"stop=[{PLATEAU}, {{budget: {{steps: 20}}}}]"
    settings = [f"eval.mode={mode}", "run.dir=run"]
    assert (
        told(run_dir, launcher.run(recipe, guarded, *settings, cwd=recipe.parent))["delivered"]["step"] == 0
    )
    last = launcher.run(recipe, more, *settings, "--accept-changes", cwd=recipe.parent)
    assert told(run_dir, last)["delivered"]["step"] > 0


def test_an_average_is_named_as_what_the_model_has(launcher, recipe):
    """Whatever is used: the record, the explanation and the card agree."""
    run_dir = recipe.parent / "run"
    for steps, extra in ((15, []), (20, ["--accept-changes"])):
        stop = f"stop=[{PLATEAU}, {{budget: {{steps: {steps}}}}}]"
        launched = launcher.run(
            recipe, stop, "run.average={ema: 0.9, soup: 2}", "run.dir=run", *extra, cwd=recipe.parent
        )
        result = json.loads((run_dir / "result.json").read_text())
        used = result["average"]["used"]
        assert result["delivered"]["average"] == used
        card = (run_dir / "model" / "README.md").read_text()
        if used is None:
            told(run_dir, launched)
        else:
            assert f"Weights of an average, {used}." in card
            assert "The weights kept are" not in result["explanation"]


def test_a_test_split_that_was_told_before_is_no_longer_unseen(launcher, recipe):
    run_dir = recipe.parent / "run"
    split = "data.test={source: ./held_out.jsonl, text: text, label: label}"
    first = launcher.run(recipe, split, "run.dir=run", cwd=recipe.parent)
    assert "which no decision saw" in first.out
    more = f"stop=[{PLATEAU}, {{budget: {{steps: 20}}}}]"
    last = launcher.run(recipe, split, more, "run.dir=run", "--accept-changes", cwd=recipe.parent)
    assert "whose scores were told when the run had ended at step 15" in last.out
    assert json.loads((run_dir / "result.json").read_text())["test"]["told_before"] == [15]
    assert "no longer unseen" in (run_dir / "report.html").read_text()


def test_a_target_that_was_met_before_training_asks_for_nothing(launcher, recipe):
    easy = "stop=[{target: {accuracy: 0.01}}, {budget: {steps: 15}}]"
    launched = launcher.run(recipe, easy, "run.dir=run", cwd=recipe.parent)
    assert "note: the target accuracy 0.01 asks for nothing: accuracy was" in launched.out
    page = (recipe.parent / "run" / "report.html").read_text()
    assert "The target asks for nothing at step 0" in page


def test_a_metric_that_was_never_measured_before_keeps_weights_that_are_there(launcher, recipe):
    """No measurement tells which are best by it, and those of step 0 are gone."""
    run_dir = recipe.parent / "run"
    launcher.run(recipe, "run.dir=run", "run.keep=1", cwd=recipe.parent)
    other = "stop=[{target: {other/macro_f1: 0.99}}, {budget: {steps: 15}}]"
    settings = ["run.dir=run", "run.keep=1", "--accept-changes"]
    last = launcher.run(recipe, other, *settings, cwd=recipe.parent, status=2)
    assert told(run_dir, last)["delivered"]["step"] > 0
