from __future__ import annotations

import subprocess
import sys

import pytest

from tunesmith.metrics.modules import MODULES
from tunesmith.metrics.table import METRICS, metric_direction


def test_every_metric_over_predictions_is_an_evaluate_metric() -> None:
    import evaluate

    assert set(MODULES) == {name for name, spec in METRICS.items() if spec.kind not in ("sums", "given")}
    assert all(issubclass(module, evaluate.Metric) for module in MODULES.values())


def test_a_module_can_be_used_alone(tmp_path) -> None:
    metric = MODULES["exact_match"](keep_in_memory=True, cache_dir=str(tmp_path))
    metric.add_batch(predictions=["a", "b"], references=["a", "a"])
    metric.add(prediction="c", reference="c")
    assert metric.compute() == {"exact_match": pytest.approx(2 / 3)}


def test_entries_are_whole() -> None:
    for name, spec in METRICS.items():
        assert spec.name == name
        assert name == name.lower()
        assert spec.low < spec.high
        assert spec.meaning
        assert not spec.proportion or spec.per_example is not None
        assert metric_direction(name) == spec.direction


def test_the_table_imports_nothing_heavy() -> None:
    code = (
        "import sys, tunesmith.metrics.table\n"
        "heavy = {'numpy', 'evaluate', 'datasets', 'torch', 'sklearn', 'rouge_score', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
