"""A metric's name says what it is measured on, and the metric keeps its direction and its range."""

import pytest

from tunesmith.metrics.names import bare_metric, slice_name, split_name
from tunesmith.metrics.table import metric_direction
from tunesmith.recipe.check.metric_names import metric_limits


@pytest.mark.parametrize(
    ("name", "where", "metric", "direction"),
    [
        ("loss", "", "loss", "min"),
        ("general/loss", "general", "loss", "min"),
        ("general/f1", "general", "f1", "max"),
        ("worst/perplexity", "worst", "perplexity", "min"),
        ("f1[a/b]", "", "f1[a/b]", "max"),
        ("general/f1[a/b c]", "general", "f1[a/b c]", "max"),
        ("worst/recall[spam]", "worst", "recall[spam]", "max"),
        ("f1[spam][lang=de]", "[lang=de]", "f1[spam]", "max"),
        ("mcc[lang=de]", "[lang=de]", "mcc", "max"),
        (f"hub:org/wer@{'a' * 40}", "", f"hub:org/wer@{'a' * 40}", "min"),
        ("python:mine:cost", "", "python:mine:cost", "min"),
        ("general/python:my.own:score", "general", "python:my.own:score", "max"),
        ("worst/python:mine:score:min", "worst", "python:mine:score:min", "min"),
        ("python:mine:cost:max[lang=de]", "[lang=de]", "python:mine:cost:max", "max"),
        (f"general/hub:wer@{'a' * 40}", "general", f"hub:wer@{'a' * 40}", "min"),
    ],
)
def test_names_are_taken_apart(name, where, metric, direction) -> None:
    assert split_name(name) == (where, metric)
    assert bare_metric(name) == metric
    assert metric_direction(name) == direction == metric_direction(metric)
    assert metric_limits(name) == metric_limits(metric)


def test_slices_keep_their_metric() -> None:
    name = slice_name("mse", "kind", "a/b=[c]")
    assert name == "mse[kind=a/b=[c]]"
    assert bare_metric(name) == "mse"
    assert metric_direction(name) == "min"
