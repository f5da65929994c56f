"""Every rule ends a real run, says why, and leaves the best weights in ``model/``."""

import pytest

pytestmark = pytest.mark.slow


def ended(launcher, read, task, folder, *arguments):
    launched = launcher.run(task, *arguments, f"run.dir={folder}/run")
    result = read.json(folder / "run" / "result.json")
    assert result["explanation"] in launched.out
    return result, folder / "run"


def test_target(launcher, read, tmp_path):
    result, run_dir = ended(launcher, read, "sequence-classification", tmp_path, "eval.every=5")
    assert (result["status"], result["stop"]["rule"]) == ("stopped", "target")
    assert result["best"]["metrics"]["accuracy"] >= 0.97
    assert result["best"]["step"] == result["stop"]["step"] < 60
    assert "good enough" in result["explanation"]
    assert len(read.journal(run_dir, "train")) == result["stop"]["step"]


def test_a_target_that_was_met_before_the_first_step(launcher, read, tmp_path):
    stop = "stop=[{target: {accuracy: 0.01}}, {budget: {steps: 20}}]"
    result, run_dir = ended(launcher, read, "sequence-classification", tmp_path, stop)
    assert (result["status"], result["stop"]["rule"], result["stop"]["step"]) == ("stopped", "target", 0)
    assert read.journal(run_dir, "train") == []
    assert (run_dir / "model" / "model.safetensors").exists()
    again = launcher.run("sequence-classification", stop, f"run.dir={run_dir}")
    assert "already finished" in again.out


def test_plateau(launcher, read, tmp_path):
    stop = "stop=[{plateau: {metric: mse, patience: 2, min_gain: 0.5}}, {budget: {steps: 50}}]"
    small = ["optimizer.learning_rate=1e-9", "eval.every=4"]
    result, run_dir = ended(launcher, read, "regression", tmp_path, stop, *small)
    assert (result["status"], result["stop"]["rule"], result["stop"]["step"]) == ("stopped", "plateau", 8)
    # Without a better metric to go by, what the plateau watches decides which weights are the best.
    best = min(read.journal(run_dir, "eval"), key=lambda record: record["metrics"]["mse"])
    assert result["best"]["step"] == best["step"]


def test_divergence_leaves_the_best_weights(launcher, read, tmp_path, mse_by_hand):
    stop = "stop=[{divergence: {factor: 1.5}}, {budget: {steps: 60}}]"
    # Without warm-up and with a rate that is far too high, things get better only at first, if at all.
    wild = ["optimizer.learning_rate=0.7", "optimizer.warmup=0", "optimizer.clip=null", "eval.every=1"]
    result, run_dir = ended(launcher, read, "regression", tmp_path, stop, *wild)
    assert (result["status"], result["stop"]["rule"]) == ("stopped", "divergence")
    assert result["final"]["metrics"]["loss"] > 1.5 * result["baseline"]["metrics"]["loss"]
    assert result["best"]["step"] < result["stop"]["step"]
    assert mse_by_hand(run_dir, launcher) == pytest.approx(result["best"]["metrics"]["mse"], rel=1e-4)


def test_the_best_weights_are_in_the_model_where_later_ones_are_worse(launcher, read, tmp_path, mse_by_hand):
    """Without a baseline the best is a step in the middle: a plateau ends the run later than its best."""
    stop = "stop=[{plateau: {metric: loss, patience: 2}}, {budget: {steps: 100}}]"
    wild = [
        "optimizer.schedule=constant",
        "optimizer.learning_rate=0.005",
        "eval.every=2",
        "eval.baseline=false",
    ]
    result, run_dir = ended(launcher, read, "regression", tmp_path, stop, *wild)
    assert (result["status"], result["stop"]["rule"], result["baseline"]) == ("stopped", "plateau", None)
    assert 0 < result["best"]["step"] == result["stop"]["step"] - 4
    losses = {record["step"]: record["metrics"]["loss"] for record in read.journal(run_dir, "eval")}
    assert result["best"]["step"] == min(losses, key=losses.__getitem__)
    assert mse_by_hand(run_dir, launcher) == pytest.approx(result["best"]["metrics"]["mse"], rel=1e-4)


@pytest.mark.parametrize("every", [1, 10], ids=["seen in an evaluation", "seen in a step"])
def test_non_finite(launcher, read, tmp_path, every, mse_by_hand):
    wild = ["optimizer.learning_rate=1e30", "optimizer.warmup=0", f"eval.every={every}"]
    result, run_dir = ended(launcher, read, "regression", tmp_path, *wild)
    assert (result["status"], result["stop"]["rule"]) == ("stopped", "non-finite")
    assert result["best"]["step"] == 0
    assert "broke down" in result["explanation"]
    assert mse_by_hand(run_dir, launcher) == pytest.approx(result["baseline"]["metrics"]["mse"], rel=1e-4)
    again = launcher.run("regression", *wild, f"run.dir={run_dir}")
    assert "already finished" in again.out


def test_non_finite_before_anything_was_measured(launcher, read, tmp_path):
    wild = ["optimizer.learning_rate=1e30", "optimizer.warmup=0", "eval.baseline=false"]
    launched = launcher.run("regression", *wild, f"run.dir={tmp_path}/run")
    result = read.json(tmp_path / "run" / "result.json")
    assert (result["status"], result["stop"]["rule"], result["best"]) == ("stopped", "non-finite", None)
    assert "Training broke down: " in launched.out


@pytest.mark.parametrize(
    ("budget", "steps"),
    [("{steps: 7}", 7), ("{epochs: 0.5}", 16), ("{tokens: 3000}", None), ("{steps: 30, epochs: 0.25}", 8)],
)
def test_budgets_that_count(launcher, read, tmp_path, budget, steps):
    result, run_dir = ended(
        launcher, read, "regression", tmp_path, f"stop=[{{budget: {budget}}}]", "eval.every=50"
    )
    records = read.journal(run_dir, "train")
    assert (result["status"], result["stop"]["rule"]) == ("completed", "budget")
    assert result["stop"]["step"] == records[-1]["step"]
    assert [record["step"] for record in read.journal(run_dir, "eval")] == [0, records[-1]["step"]]
    if steps is not None:
        assert read.json(run_dir / "data.json")["train"] == 500
        assert records[-1]["step"] == steps
    else:
        per_step = records[-1]["tokens"] / len(records)
        assert 3000 - 2 * per_step < records[-1]["tokens"] < 3000 + 2 * per_step


def test_a_budget_of_time_has_its_full_learning_rate(launcher, read, tmp_path):
    stop, constant = "stop=[{budget: {time: 2s}}]", "optimizer={learning_rate: 1e-3, schedule: constant}"
    result, run_dir = ended(launcher, read, "regression", tmp_path, stop, constant, "eval.every=1000")
    records = read.journal(run_dir, "train")
    assert (result["status"], result["stop"]["rule"]) == ("completed", "budget")
    assert 2.0 <= records[-1]["seconds"] < 4.0
    assert {record["learning_rate"] for record in records} == {1e-3}
    assert "steps      until the time is spent" in (run_dir / "plan.txt").read_text()
    assert "warm-up 0 steps" in (run_dir / "plan.txt").read_text()
