"""Real runs whose rules look at metrics of classes, of one class, and at a user's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tunesmith.report.score_files import read_scores

CODE = """\
import math

from tunesmith.metrics.metric import Metric


def cost(example):
    return 0.0 if example.prediction == example.reference else 2.0


def _largest(examples):
    return max(-example.values[example.reference] for example in examples)


surprise = Metric(name="surprise", better="min", high=math.inf, whole=_largest)
"""
COST, SURPRISE = "python:my_metrics:cost", "python:my_metrics:surprise:min"


def beside(launcher, folder: Path) -> Path:
    source = launcher.recipe("sequence-classification")
    shutil.copy(source, folder / "recipe.yaml")
    shutil.copy(source.with_name("rows.py"), folder)
    (folder / "my_metrics.py").write_text(CODE)
    return folder / "recipe.yaml"


@pytest.mark.slow
def test_metrics_of_classes_decide(launcher, tmp_path, read) -> None:
    settings = [
        'eval.metrics=[macro_f1, mcc, roc_auc, "f1[greeting]", "average_precision[farewell]"]',
        'stop=[{target: {roc_auc: 0.85, "f1[greeting]": 0.8}, sure: 95%}, '
        "{guard: {metric: balanced_accuracy, max_drop: 0.1}}, {budget: {steps: 60}}]",
    ]
    launcher.run("sequence-classification", *settings, f"run.dir={tmp_path / 'run'}")
    last = read.journal(tmp_path / "run", "eval")[-1]
    assert last["metrics"]["roc_auc"] >= 0.95
    assert set(last["intervals"]) >= {"mcc", "roc_auc", "f1[greeting]", "average_precision[farewell]"}
    assert {pair["metric"] for pair in last["paired"]} >= {"roc_auc", "balanced_accuracy"}
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["stop"]["rule"] == "target"
    assert all(
        set(one.values) == {"greeting", "farewell"} for one in read_scores(tmp_path / "run/scores.jsonl")
    )


def test_a_class_that_there_is_not_is_refused(launcher, tmp_path) -> None:
    launched = launcher.run(
        "sequence-classification", 'eval.metrics=["f1[greting]"]', f"run.dir={tmp_path / 'run'}", status=2
    )
    assert "no class is called `greting`" in launched.err
    assert "`greeting`" in launched.err


@pytest.mark.slow
def test_a_metric_of_ones_own_decides_and_is_part_of_the_run(launcher, tmp_path, read) -> None:
    recipe, run_dir = beside(launcher, tmp_path), tmp_path / "run"
    rules = f'{{target: {{"{COST}": 0.1}}, sure: 95%}}, {{guard: {{metric: "{SURPRISE}", max_drop: 9}}}}'
    settings = [f'eval.metrics=["{COST}", "{SURPRISE}"]', f"run.dir={run_dir}"]
    first = f"stop=[{rules}, {{budget: {{steps: 20}}}}]"
    launcher.run(recipe, *settings, first, processes=2)
    record = read.journal(run_dir, "eval")[-1]
    assert len(record["intervals"][COST]) == len(record["intervals"][SURPRISE]) == 2
    assert {pair["metric"] for pair in record["paired"]} == {COST, SURPRISE}
    scored = read_scores(run_dir / "scores.jsonl")
    assert all(one.given[COST] == 2.0 * (one.prediction != one.reference) for one in scored)
    about = json.loads((run_dir / "environment.json").read_text())
    assert [name.partition("@")[0] for name in about["own_code"]] == ["my_metrics.py"]

    more = [*settings, f"stop=[{rules}, {{budget: {{steps: 60}}}}]", "--accept-changes"]
    (tmp_path / "my_metrics.py").write_text(CODE.replace("2.0", "3.0"))
    refused = launcher.run(recipe, *settings, first.replace("20", "60"), status=2)
    assert "begun with another recipe" in refused.err
    launcher.run(recipe, *more)
    assert json.loads((run_dir / "result.json").read_text())["stop"]["rule"] == "target"


@pytest.mark.slow
def test_another_file_under_the_same_recipe_is_refused(launcher, tmp_path) -> None:
    recipe, run_dir = beside(launcher, tmp_path), tmp_path / "run"
    settings = [
        f'eval.metrics=["{COST}"]',
        f"run.dir={run_dir}",
        "run.save_every=10 steps",
        "run.saving=inline",  # so that what is saved at step 10 is there when it is killed at 15
        "eval.every=20 steps",
    ]
    cut = launcher.start(recipe, *settings, TUNESMITH_FAULT="forward at=15 do=SIGKILL")
    cut.wait()
    assert list((run_dir / "checkpoints").glob("step-*"))
    (tmp_path / "my_metrics.py").write_text(CODE.replace("2.0", "3.0"))
    refused = launcher.run(recipe, *settings, status=2)
    assert "the file of a metric has changed since this run was begun" in refused.err
