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

COMMIT = "0123456789abcdef0123456789abcdef01234567"

CHILD = """
from tunesmith.errors import UserError
from tunesmith.metrics.compute import compute
for name in ("own_name", "one_number", "two_numbers", "fails", "org/owned"):
    try:
        print(name, compute(f"hub:{name}@COMMIT", ["ab", "c"], ["a", "b"]))
    except UserError as mistake:
        print(name, mistake)

import gc, os, tempfile
os.mkdir("tmp")
tempfile.tempdir = os.path.abspath("tmp")
from tunesmith.judge.statistics.intervals import metric_interval
from tunesmith.metrics.metric import answered
low, high = metric_interval("hub:share@COMMIT", answered(["a"] * 40, ["a", "a", "a", "b"] * 10))
print(0.5 < low < 0.75 < high < 0.95)
gc.collect()
print(os.listdir("tmp"))

for name in ("hub:mine", "evaluate:mine", "hub:mine@" + "f" * 40):
    try:
        print(compute(name, ["ab", "c"], ["a", "b"]))
    except UserError as mistake:
        print(mistake.what)
"""

RESULTS = {
    "own_name": '{"own_name": 1.5, "other": 2.0}',
    "one_number": '{"mean_length": 1.5, "words": ["x"]}',
    "two_numbers": '{"one": 1.5, "two": 2.0}',
    "fails": "1 / 0",
}


def in_cache(home: Path, owner: str, name: str, script: str) -> None:
    """A metric as the hub's client keeps it: by commit."""
    folder = home / "hub" / f"spaces--{owner}--{name}" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (folder / f"{name}.py").write_text(script)


def run_child(tmp_path: Path, code: str) -> list[str]:
    home = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("COMMIT", COMMIT)],
        cwd=tmp_path,
        env=os.environ | home,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("hint")]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder in which a process asked for metrics, once, since it imports much; and what it said."""
    folder = tmp_path_factory.mktemp("hub")
    for name, result in RESULTS.items():
        in_cache(folder / "hf", "evaluate-metric", name, SCRIPT.replace("RESULT", result))
    in_cache(folder / "hf", "org", "owned", SCRIPT.replace("RESULT", '{"owned": 2.5}'))
    script = SCRIPT.replace('        assert predictions == ["ab", "c"]\n', "")
    share = '{"share": sum(a == b for a, b in zip(predictions, references)) / len(predictions)}'
    in_cache(folder / "hf", "evaluate-metric", "share", script.replace("RESULT", share))
    canary = f"open({str(folder / 'canary')!r}, 'w')\n" + SCRIPT.replace("RESULT", '{"mine": 1.0}')
    (folder / "mine").mkdir()
    (folder / "mine" / "mine.py").write_text(canary)
    in_cache(folder / "hf", "evaluate-metric", "mine", canary)
    return folder, run_child(folder, CHILD)


@pytest.mark.slow
def test_scripts_of_that_commit_are_loaded_and_computed(told) -> None:
    assert told[1][:5] == [
        "own_name 1.5",
        "one_number 1.5",
        f"two_numbers metric `hub:two_numbers@{COMMIT}` gives several values (one, two) "
        "and none is called `two_numbers`",
        f"fails metric `hub:fails@{COMMIT}` refused the predictions: division by zero",
        "org/owned 2.5",
    ]


@pytest.mark.slow
def test_a_metric_of_the_hub_has_an_interval_and_leaves_no_folder(told) -> None:
    assert told[1][5:7] == ["True", "[]"]


@pytest.mark.slow
def test_no_other_code_answers_to_the_name(told) -> None:
    """A folder of that name in the working directory, and another commit in the cache, are left alone."""
    folder, said = told
    assert ["at a commit" in line for line in said[7:]] == [True, True, False]
    assert "could not be loaded" in said[9]
    assert not (folder / "canary").exists()


def test_without_a_network_the_message_names_the_way_out(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as mistake:
        compute(f"hub:no_such_metric@{COMMIT}", ["a"], ["a"])
    assert f"`hub:no_such_metric@{COMMIT}` could not be loaded" in mistake.value.what
    assert "exact_match" in mistake.value.hint


@pytest.mark.parametrize("bare", ["", "../x", "/etc/x", "a/b/c", "a b", "wer", "wer@main", f"wer@{'A' * 40}"])
@pytest.mark.parametrize("prefix", ["hub:", "evaluate:"])
def test_only_commits_of_the_hub_are_asked_for(prefix, bare) -> None:
    with pytest.raises(UserError, match="not a metric of the hub"):
        compute(prefix + bare, ["a"], ["a"])
