"""Labels that look alike are one class, or are refused."""

from __future__ import annotations

import pytest

from tunesmith.data.clean.label_variants import comparable_label
from tunesmith.errors import UserError
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

LABELLED = SEQUENCE_CLASSIFICATION.row_schema


def classes(write, load, labels, **settings) -> set[str]:
    rows = [{"text": f"t{n}", "label": labels[n % len(labels)]} for n in range(8 * len(labels))]
    loaded = load({"source": write("d.jsonl", rows)}, needs=LABELLED, **settings)
    return {row.fields["label"] for row in (*loaded.train, *loaded.eval)}


@pytest.mark.parametrize(
    "labels",
    [
        ["caf\u00e9", "cafe\u0301"],
        ["a b", "a  b"],
        [" a", "a\n"],
        ["a\u00a0b", "a b"],
        [1, "1"],
        [True, "true"],
    ],
)
def test_two_forms_of_the_same_text_are_one_class(write, load, labels) -> None:
    assert len(classes(write, load, [*labels, "the"])) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("STRASSE", "stra\u00dfe"),
        ("newyork", "new york"),
        ("\uff11", "1"),
        ("1.0", 1),
        ("01", "1"),
        ("a\u200bb", "ab"),
        ("\ufb01x", "fix"),
        (True, "True"),
    ],
)
def test_others_are_refused_by_name_unless_they_are_meant(write, load, one, other) -> None:
    with pytest.raises(UserError, match="labels that look alike: 1") as caught:
        classes(write, load, [one, other, "the"])
    assert "looks like" in str(caught.value)
    assert "alike_labels: keep" in caught.value.hint
    assert len(classes(write, load, [one, other, "the"], clean={"alike_labels": "keep"})) == 3


def test_labels_of_the_evaluation_rows_count_too(write, load) -> None:
    train = write("t.jsonl", [{"text": f"t{n}", "label": "ab"[n % 2]} for n in range(8)])
    held = write("e.jsonl", [{"text": f"e{n}", "label": "AB"[n % 2]} for n in range(8)])
    with pytest.raises(UserError, match="labels that look alike: 2"):
        load({"source": train}, needs=LABELLED, eval={"source": held})


def test_different_labels_stay_different() -> None:
    labels = [
        "1",
        "2",
        "10",
        "1e",
        "nan",
        "inf",
        "infinity",
        "-1",
        "a_b",
        "a-b",
        "a.b",
        "C",
        "C#",
        "C++",
        "1_0",
        "",
    ]
    assert len({comparable_label(label) for label in labels}) == len(labels)
