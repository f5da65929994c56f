"""Slices in rules: taken where they can be measured, refused with the way out where they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.metrics.names import bare_metric, slice_of, split_name
from tunesmith.recipe.check.metric_names import all_metrics, asked_metrics
from tunesmith.recipe.load import load_recipe

RECIPE = """\
task: sequence-classification
model: {source: org/name}
data: {train: {source: ./rows.jsonl, text: text, label: kind}}
optimizer: {learning_rate: 1e-3}
batch: {size: 8}
"""


def loaded(folder: Path, more: str):
    (folder / "rows.jsonl").write_text('{"text": "a", "kind": "b", "topic": "c"}\n')
    (folder / "recipe.yaml").write_text(RECIPE + more)
    return load_recipe(folder / "recipe.yaml")


@pytest.mark.parametrize(
    "rule",
    [
        'target: {"accuracy[topic=art]": 0.8}',
        'target: {"macro_f1[topic=a/b: c]": 0.8}',
        'plateau: {metric: "loss[kind=ham]"}',
        'guard: {metric: "accuracy[kind=ham]", max_drop: 0.1}',
        "target: {worst/macro_f1: 0.5}",
        'target: {"f1[very bad]": 0.5}',
        'guard: {metric: "recall[ham][topic=art]", max_drop: 0.1}',
        "plateau: {metric: roc_auc}",
        'target: {"worst/average_precision[a/b]": 0.5}',
    ],
)
def test_a_slice_can_stand_in_every_rule(tmp_path, rule) -> None:
    recipe = loaded(tmp_path, f"eval: {{slices: [topic, kind]}}\nstop: [{{{rule}}}]\n")
    asked = {
        "accuracy",
        "macro_f1",
        "loss",
        "f1[very bad]",
        "recall[ham]",
        "roc_auc",
        "average_precision[a/b]",
    }
    assert asked & set(asked_metrics(recipe))


@pytest.mark.parametrize(
    ("slices", "metric", "words"),
    [
        ("topic", "accuracy[topik=art]", "did you mean `accuracy[topic=art]`?"),
        ("[]", "accuracy[topic=art]", "add `eval: {slices: topic}`"),
        ("topic, subset: auto", "accuracy[topic=art]", "needs every row"),
        ("topic", "acuracy[topic=art]", "did you mean `accuracy`?"),
        ("kind", "macro_f1[kind=ham]", "`accuracy[kind=VALUE]` is that label's recall"),
        ("topic", "f1", '`"f1[LABEL]"`, or `macro_f1`, `micro_f1` or `weighted_f1`'),
        ("topic", "recall[class=ham]", "of one class it is `recall[ham]`"),
        ("topic", "accuracy[ham]", "unknown metric `accuracy[ham]`"),
        ("kind", "f1[ham][kind=ham]", "means nothing"),
        ("kind", "worst/macro_f1", "means nothing: all rows of a slice by `kind` have the same label"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_way_out(tmp_path, slices, metric, words) -> None:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, f'eval: {{slices: {slices}}}\nstop: [{{target: {{"{metric}": 0.5}}}}]\n')
    assert words in str(caught.value)


def test_what_is_measured_apart(tmp_path) -> None:
    rule = (
        'eval: {slices: [topic, kind], metrics: [macro_f1]}\nstop: [{target: {"accuracy[topic=art]": 0.5}}]\n'
    )
    slices = {("topic", "art"): False, ("kind", "ham"): True}
    found = all_metrics(loaded(tmp_path, rule), ("loss",), slices)
    assert {"macro_f1[topic=art]", "accuracy[kind=ham]", "worst/macro_f1", "worst/accuracy"} <= set(found)
    assert "macro_f1[kind=ham]" not in found
    assert "worst/macro_f1" not in all_metrics(loaded(tmp_path, rule), ("loss",), {("kind", "ham"): True})


def test_names_of_slices() -> None:
    assert split_name("f1[topic=a/b]") == ("[topic=a/b]", "f1")
    assert bare_metric("f1[topic=a]=b]") == "f1"
    assert slice_of("f1[topic=a/b]") == ("f1", "topic", "a/b")
    assert slice_of("general/f1") is None
