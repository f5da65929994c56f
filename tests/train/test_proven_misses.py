"""Runs that tell only the beginnings of wrong answers measure what runs that tell all of them measure."""

import json

import pytest

from tunesmith.metrics.match import exact_match
from tunesmith.report.run_files import read_run
from tunesmith.report.sections.flips import flips

pytestmark = pytest.mark.slow

SAME = ["eval.every=4 steps", "stop=[{plateau: {metric: exact_match, patience: 7}}, {budget: {steps: 32}}]"]


def told(run_dir, name):
    return [json.loads(line) for line in (run_dir / name).read_text().splitlines()]


@pytest.mark.parametrize(
    ("layout", "processes"), [("packed", 1), ("padded", 1), ("packed", 2), ("padded", 2)]
)
@pytest.mark.matrix(sample=2, each="processes")
def test_the_values_are_those_of_whole_answers(launcher, read, tmp_path, layout, processes):
    runs = {samples: tmp_path / str(samples) for samples in (3, 64)}  # 64 are all: each is told to its end
    for samples, run_dir in runs.items():
        settings = [f"eval.samples={samples}", f"batch.layout={layout}", f"run.dir={run_dir}"]
        launcher.run("causal-lm", *SAME, *settings, processes=processes)
    short, whole = runs.values()
    pairs = list(zip(read.journal(short, "eval"), read.journal(whole, "eval"), strict=True))
    for one, other in pairs:
        for key in ("step", "metrics", "intervals", "paired"):
            assert one.get(key) == other.get(key), (one["step"], key)
    assert pairs[-1][0]["paired"]
    assert len({one["metrics"]["exact_match"] for one, _ in pairs}) > 3  # several stages of learning
    cut = 0
    for name in ("baseline_scores.jsonl", "scores.jsonl"):
        for place, (one, other) in enumerate(zip(told(short, name), told(whole, name), strict=True)):
            right = [exact_match(each["prediction"], each["reference"]) for each in (one, other)]
            assert right[0] == right[1]
            if one["prediction"] != other["prediction"]:
                cut += 1
                assert place >= 3  # samples are told to their end
                assert one["prediction"].endswith("…")
            assert {**one, "prediction": ""} == {**other, "prediction": ""}
    assert cut > 30
    assert read.json(short / "samples.json") == read.json(whole / "samples.json")[:3]
    found = [flips(read_run(run_dir)) for run_dir in (short, whole)]
    assert found[0].tally == found[1].tally


def test_a_metric_that_needs_whole_answers_gets_them(launcher, read, tmp_path):
    runs = {samples: tmp_path / str(samples) for samples in (3, 64)}
    for samples, run_dir in runs.items():
        settings = [f"eval.samples={samples}", "eval.metrics=[exact_match, chrf]", f"run.dir={run_dir}"]
        launcher.run("causal-lm", *settings, "stop=[{budget: {steps: 8}}]", "eval.every=8 steps")
    short, whole = runs.values()
    for name in ("baseline_scores.jsonl", "scores.jsonl"):
        assert told(short, name) == told(whole, name)
    assert read.journal(short, "eval")[-1]["metrics"] == read.journal(whole, "eval")[-1]["metrics"]
