"""Tasks of lm-evaluation-harness in real runs, from local files alone."""

import json
import math
import sys

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.schema.eval import Eval
from tunesmith.train.evaluate.harness import harness_values, load_harness

TASK = """\
task: sounds
dataset_path: json
dataset_kwargs: {data_files: {test: ROWS}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{right}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""


def test_names_and_intervals() -> None:
    results = {
        "sounds": {"name": "sounds", "alias": "s", "acc,none": 0.5, "acc_stderr,none": 0.1},
        "sums": {"exact_match,strict": 0.25, "exact_match_stderr,strict": "N/A", "sample_len": 9},
    }
    values, intervals = harness_values(results)
    assert values == {"harness/sounds/acc": 0.5, "harness/sums/exact_match.strict": 0.25}
    assert intervals == {
        "harness/sounds/acc": (pytest.approx(0.304, abs=1e-5), pytest.approx(0.696, abs=1e-5))
    }


def test_a_missing_package_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(UserError, match="needs the package `lm_eval`") as caught:
        load_harness(Eval(harness=("arc_easy",)))
    assert "pip install 'tunesmith[harness]'" in caught.value.hint


@pytest.fixture
def sounds(tmp_path):
    """A task over rows that the smoke recipe's model learns to answer."""
    pytest.importorskip("lm_eval")
    said = {"cow": "moo", "dog": "woof", "cat": "meow", "duck": "quack"}
    rows = [
        {"question": f"Ann has a {animal}. What does it say?", "choices": list(said.values()), "right": right}
        for right, animal in enumerate(said)
    ] * 6
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sounds.yaml").write_text(TASK.replace("ROWS", str(tmp_path / "rows.jsonl")))
    return tmp_path / "sounds.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_measures_and_stops_by_a_task(launcher, tmp_path, read, sounds, processes) -> None:
    """The losses are those of a run without it: training draws the same numbers."""
    rules = "stop=[{target: {harness/sounds/acc: 1.1}}, {budget: {steps: 20}}]"
    settings = ["eval.every=10", "model.new.attention_dropout=0.1", "data.train.arguments.count=300"]
    with_task = launcher.run(
        "causal-lm", *settings, f"eval.harness=[{sounds}]", rules, f"run.dir={tmp_path / 'run'}",
        processes=processes, HF_DATASETS_OFFLINE="1",
    )  # fmt: skip
    records = read.journal(tmp_path / "run", "eval")
    for record in records:
        value = record["metrics"]["harness/sounds/acc"]
        low, high = record["intervals"]["harness/sounds/acc"]
        assert low <= value <= high
        assert math.isfinite(high)
        assert record["verdict"]["decision"] != "unknown"
    assert "Running loglikelihood" not in with_task.err
    launcher.run(
        "causal-lm", *settings, "stop=[{budget: {steps: 20}}]", f"run.dir={tmp_path / 'alone'}",
        processes=processes,
    )  # fmt: skip
    assert read.losses(tmp_path / "run") == read.losses(tmp_path / "alone")


@pytest.mark.slow
def test_mistakes(launcher, tmp_path, sounds) -> None:
    run_dir = f"run.dir={tmp_path / 'run'}"
    unknown = launcher.run("causal-lm", "eval.harness=[arc_eazy]", run_dir, status=2)
    assert "has no task `arc_eazy`" in unknown.err
    assert "did you mean `arc_easy`" in unknown.err
    absent = launcher.run("causal-lm", f"eval.harness=[{sounds.parent / 'sound.yaml'}]", run_dir, status=2)
    assert "did you mean" in absent.err
    (sounds.parent / "rows.jsonl").unlink()
    empty = launcher.run("causal-lm", f"eval.harness=[{sounds}]", run_dir, status=2, HF_DATASETS_OFFLINE="1")
    assert "cannot be loaded" in empty.err
    for done in (unknown, absent, empty):
        assert "Traceback" not in done.err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
