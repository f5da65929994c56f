"""Metrics by name from the hub: real scripts, loaded by the real library from local folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.metrics.compute import compute

SCRIPT = """
import datasets
import evaluate


class Lengths(evaluate.Metric):
    def _info(self):
        value = datasets.Value("string")
        features = datasets.Features({"predictions": value, "references": value})
        return evaluate.MetricInfo(description="d", citation="", inputs_description="i", features=features)

    def _compute(self, predictions, references):
        assert predictions == ["ab", "c"]
        return RESULT
"""

CHILD = """
from tunesmith.errors import UserError
from tunesmith.metrics.compute import compute
for name in ("own_name", "one_number", "two_numbers", "fails"):
    try:
        print(name, compute("hub:" + name, ["ab", "c"], ["a", "b"]))
    except UserError as mistake:
        print(name, mistake)
"""

RESULTS = {
    "own_name": '{"own_name": 1.5, "other": 2.0}',
    "one_number": '{"mean_length": 1.5, "words": ["x"]}',
    "two_numbers": '{"one": 1.5, "two": 2.0}',
    "fails": "1 / 0",
}


@pytest.mark.slow
def test_scripts_are_loaded_and_computed(tmp_path: Path) -> None:
    """A script in a folder of the metric's name stands for the hub's, which tests cannot reach."""
    for name, result in RESULTS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(SCRIPT.replace("RESULT", result))
    home = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=tmp_path,
        env=os.environ | home,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("hint")]
    assert lines == [
        "own_name 1.5",
        "one_number 1.5",
        "two_numbers metric `hub:two_numbers` gives several values (one, two) "
        "and none is called `two_numbers`",
        "fails metric `hub:fails` refused the predictions: division by zero",
    ]


def test_without_a_network_the_message_names_the_way_out(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as mistake:
        compute("hub:no_such_metric", ["a"], ["a"])
    assert "`hub:no_such_metric` could not be loaded" in mistake.value.what
    assert "exact_match" in mistake.value.hint


@pytest.mark.parametrize("name", ["hub:", "hub:../x", "hub:/etc/x", "evaluate:a/b/c", "hub:a b"])
def test_only_names_of_the_hub_are_asked_for(name) -> None:
    with pytest.raises(UserError, match="not a metric of the hub"):
        compute(name, ["a"], ["a"])
