"""After the stop: whole measurements of what is kept, averages that must prove themselves, the test split."""

import signal

import pytest

pytestmark = pytest.mark.slow

STILL = ["model.new.hidden_dropout_prob=0.0", "model.new.attention_probs_dropout_prob=0.0"]
NOISY = [
    "optimizer={learning_rate: 2e-3, schedule: constant, warmup: 5}",
    "batch.size=4",
    "data.train.arguments.count=1500",
    "data.eval.holdout=400",
    "stop=[{plateau: {metric: mse, patience: 40 bits}}, {budget: {steps: 300}}]",
    "eval.every=100",
]


def ids(path) -> list[str]:
    import json

    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_a_test_split_is_scored_once_and_seen_by_no_decision(launcher, read, tmp_path):
    without, run_dir = tmp_path / "without", tmp_path / "with"
    settings = ["data.train.arguments.count=700", "data.clean.leakage=keep", "eval.every=10"]
    launcher.run("regression", *settings, f"run.dir={without}")
    launched = launcher.run("regression", *settings, "data.test.holdout=60", f"run.dir={run_dir}")
    result = read.json(run_dir / "result.json")
    test = result["test"]
    assert test["examples"] == 60 == read.json(run_dir / "data.json")["test"]
    assert {"loss", "pearson", "mse"} == test["metrics"].keys() == test["baseline"].keys()
    low, high = test["intervals"]["mse"]
    assert low < test["metrics"]["mse"] < high
    assert test["gains"]["loss"]["gain"] == pytest.approx(test["baseline"]["loss"] - test["metrics"]["loss"])
    assert 0 <= test["gains"]["loss"]["p"] <= 1
    assert "On the test split, which no decision saw, pearson is" in launched.out
    held_out, tested = ids(run_dir / "scores.jsonl"), ids(run_dir / "test_scores.jsonl")
    assert held_out == ids(without / "scores.jsonl"), "a test split leaves the evaluation rows alone"
    assert not set(held_out) & set(tested)
    assert "test" not in read.json(without / "result.json")
    page = (run_dir / "report.html").read_text()
    assert "Test split" in page
    assert "Test split" not in (without / "report.html").read_text()
    again = launcher.run("regression", *settings, "data.test.holdout=60", f"run.dir={run_dir}")
    assert "already finished" in again.out


def test_a_running_mean_is_used_where_it_is_surely_better(launcher, read, tmp_path, mse_by_hand):
    run_dir = tmp_path / "run"
    launched = launcher.run("regression", *NOISY, "run.average={ema: 0.95}", f"run.dir={run_dir}")
    result = read.json(run_dir / "result.json")
    (tried,) = result["average"]["tried"]
    assert tried["name"] == "ema"
    better = tried["against_best"]["gain"] > 0 and tried["against_best"]["p"] <= 0.05
    assert better, tried
    assert tried["used"]
    assert result["average"]["used"] == "ema"
    assert "The finished model has an average of weights (ema)" in launched.out
    assert mse_by_hand(run_dir, launcher) == pytest.approx(tried["metrics"]["mse"], rel=1e-3)
    assert "an average, ema" in (run_dir / "model" / "README.md").read_text()


def test_averages_that_are_no_better_are_named_and_left(launcher, read, tmp_path):
    """Nothing is learnt, so no average can be better than the best."""
    run_dir = tmp_path / "run"
    tiny = ["optimizer.learning_rate=1e-9", "eval.every=5", "stop=[{budget: {steps: 20}}]"]
    average = "run.average={ema: 0.9, soup: 3}"
    launched = launcher.run("regression", *tiny, average, f"run.dir={run_dir}", processes=2)
    found = read.json(run_dir / "result.json")["average"]
    assert [one["name"] for one in found["tried"]] == ["ema", "soup of 3"]
    assert found["used"] is None
    assert "is not surely better" in launched.out
    assert len(list((run_dir / "checkpoints").iterdir())) == 3, "what is averaged is kept"


def test_an_average_survives_a_stop(launcher, read, tmp_path):
    settings = [
        "eval.every=10",
        "stop=[{budget: {steps: 60}}]",
        "run.average={ema: 0.95, soup: 3}",
        "eval.metrics=[]",
    ]
    control, run_dir = tmp_path / "control", tmp_path / "run"
    launcher.run("causal-lm", *settings, f"run.dir={control}")
    launched = launcher.start("causal-lm", *settings, f"run.dir={run_dir}")
    read.until(lambda: (run_dir / "metrics.jsonl").exists() and _steps(run_dir) >= 33, "step 33")
    launched.signal(signal.SIGTERM)
    assert launched.wait() == 75, launched.err
    launcher.run("causal-lm", *settings, f"run.dir={run_dir}")
    ours, theirs = (read.json(folder / "result.json") for folder in (run_dir, control))
    assert [one["name"] for one in ours["average"]["tried"]] == ["ema", "soup of 3"]
    assert ours["average"] == theirs["average"]
    assert [evidence(record) for record in read.journal(run_dir, "eval")] == [
        evidence(record) for record in read.journal(control, "eval")
    ]
    assert read.weights(run_dir) == read.weights(control)


def evidence(record: dict) -> tuple:
    """What rules judge by, times aside."""
    return tuple(record.get(key) for key in ("step", "metrics", "intervals", "paired", "train_loss", "of"))


def _steps(run_dir) -> int:
    return (run_dir / "metrics.jsonl").read_text().count('"train"')


def test_kept_weights_that_saw_a_part_are_measured_on_all(launcher, read, tmp_path, mse_by_hand):
    """A rate that destroys what was learnt: the best saw few rows, and the end is surely worse."""
    run_dir = tmp_path / "run"
    wild = [
        "optimizer={learning_rate: 0.3, schedule: constant, warmup: 0, clip: null}",
        "data.train.arguments.count=900",
        "data.eval.holdout=400",
        "eval.subset=auto",
        "eval.every=5",
        "stop=[{plateau: {metric: loss, patience: 2}}, {budget: {steps: 10}}]",
    ]
    launcher.run("regression", *wild, *STILL, f"run.dir={run_dir}")
    result = read.json(run_dir / "result.json")
    assert result["best"]["step"] == 0
    assert read.journal(run_dir, "eval")[0]["examples"] < 400
    assert result["best"]["examples"] == 400 == len(ids(run_dir / "scores.jsonl"))
    assert mse_by_hand(run_dir, launcher) == pytest.approx(result["best"]["metrics"]["mse"], rel=1e-4)


def test_a_metric_that_the_recipe_insists_on_and_that_has_no_value_is_a_failure(launcher, read, tmp_path):
    """Pearson's r of one row is no number."""
    one = ["eval.limit=1", "eval.every=5", f"run.dir={tmp_path}/run"]
    stop = "stop=[{target: {pearson: 0.9}, missing: error}, {budget: {steps: 10}}]"
    launched = launcher.run("regression", *one, stop, status=2)
    result = read.json(tmp_path / "run" / "result.json")
    assert (result["status"], result["stop"]["rule"]) == ("failed", "missing")
    assert "pearson is nan" in launched.out
    assert (tmp_path / "run" / "model").is_dir(), "what there is is kept"


def test_what_could_not_be_judged_is_said_at_the_end(launcher, read, tmp_path):
    """And where it never could be, weights that nobody chose are no success."""
    stop = "stop=[{target: {pearson: 0.9}}, {budget: {steps: 5}}]"
    launched = launcher.run("regression", "eval.limit=1", stop, f"run.dir={tmp_path}/run", status=2)
    result = read.json(tmp_path / "run" / "result.json")
    assert (result["status"], result["stop"]["rule"]) == ("failed", "budget")
    assert len(result["unknown"]) == 1
    assert "pearson is nan" in result["unknown"][0]
    assert "`pearson`, by which weights are chosen, had no value" in result["error"]
    assert "The run failed" in launched.out


def test_a_budget_of_money_ends_a_run_and_counts_every_process(launcher, read, tmp_path):
    price = 3600.0  # one a second and device
    for processes in (1, 2):
        run_dir = tmp_path / str(processes)
        stop = f"stop=[{{budget: {{money: 8, price: {price}, steps: 100000}}}}]"
        constant = "optimizer={learning_rate: 1e-3, schedule: constant}"
        quick = ["eval.every=1000000", "eval.baseline=false"]
        launcher.run("regression", stop, constant, *quick, f"run.dir={run_dir}", processes=processes)
        last = read.journal(run_dir, "train")[-1]
        result = read.json(run_dir / "result.json")
        assert (result["status"], result["stop"]["rule"]) == ("completed", "budget")
        assert "8.00 in money is spent" in result["stop"]["reason"]
        assert last["device_seconds"] == pytest.approx(processes * last["seconds"], rel=0.01)
        assert 8 <= last["device_seconds"] < 12


def test_what_is_left_to_gain_is_weighed_against_what_it_costs(launcher, read, tmp_path):
    """A gain that is worth next to nothing, and devices that are dear: the first forecast ends the run."""
    forecast = "{metric: loss, worth: 0.000001, price: 1000000, after: 5}"
    settings = [
        "optimizer={learning_rate: 1e-3, schedule: constant}",
        "eval.every=4",
        f"stop=[{{forecast: {forecast}}}, {{budget: {{steps: 100}}}}]",
    ]
    launched = launcher.run("regression", *settings, f"run.dir={tmp_path}/run", processes=2)
    result = read.json(tmp_path / "run" / "result.json")
    assert (result["status"], result["stop"]["rule"]) == ("stopped", "forecast")
    assert result["stop"]["step"] <= 40
    assert "the rest of the budget costs" in launched.out
    last = read.journal(tmp_path / "run", "train")[-1]
    spent = result["throughput"]["device_seconds"]
    assert spent == pytest.approx(2 * last["seconds"], rel=0.01)


def test_averages_are_compared_by_the_whole_set_where_the_worst_slice_decides(launcher, read, tmp_path):
    settings = [
        "eval.slices=kind",
        "eval.every=10",
        "data.train.arguments.count=900",
        "data.clean.leakage=keep",
        "stop=[{target: {worst/accuracy: 0.9}}, {budget: {steps: 60}}]",
        "run.average={soup: 2}",
    ]
    launched = launcher.run("sequence-classification", *settings, f"run.dir={tmp_path}/run")
    result = read.json(tmp_path / "run" / "result.json")
    assert result["stop"]["rule"] == "target"
    values = result["best"]["metrics"]
    slices = [value for name, value in values.items() if name.startswith("accuracy[kind=")]
    assert len(slices) == 2
    assert values["worst/accuracy"] == min(slices) >= 0.9
    (tried,) = result["average"]["tried"]
    assert tried["against_best"]["metric"] == "accuracy"
    assert "worst/accuracy went from" in launched.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'id="slices"' in page
    assert "Averages of weights" in page
