from __future__ import annotations

import subprocess
import sys

import pytest

from tunesmith.metrics.metric import Metric
from tunesmith.metrics.table import METRICS, declared, metric_direction


def test_entries_are_whole() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert name.partition("[")[0] == name.partition("[")[0].lower()
        assert metric.low < metric.high
        assert metric.meaning
        assert not metric.proportion or metric.each is not None
        assert metric_direction(name) == metric.better


def test_a_metric_of_a_class_is_declared_for_any_label() -> None:
    found = declared("f1[very bad]")
    assert found is not None
    assert (found.name, found.better, found.of_class) == ("f1[very bad]", "max", None)
    assert declared("f1[CLASS]").of_class is None  # a class may be called so
    assert declared("accuracy[spam]") is None
    assert declared("f1[lang=de]") is None  # a slice is no metric
    assert declared("f1").needs == "text"


@pytest.mark.parametrize("more", [{}, {"each": float, "better": "more"}, {"statistics": list}])
def test_a_declaration_that_gives_no_value_is_refused(more) -> None:
    with pytest.raises(ValueError, match="metric m: "):
        Metric(name="m", **more)


def test_the_table_imports_nothing_heavy() -> None:
    code = (
        "import sys, tunesmith.metrics.table, tunesmith.metrics.compute\n"
        "heavy = {'numpy', 'evaluate', 'datasets', 'torch', 'sklearn', 'rouge_score', 'sacrebleu'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
