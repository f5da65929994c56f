"""Entities of tags, against the rules written as a regular expression and against counts by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.metrics.compute import compute
from tunesmith.metrics.families.tags import entities

LABELS = ("A", "B")


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O", []),
        ("B-A I-A O B-A", [(0, 2, "A"), (3, 4, "A")]),
        ("B-A B-A I-B", [(0, 1, "A"), (1, 2, "A"), (2, 3, "B")]),
        ("I-A I-A O", [(0, 2, "A")]),
        ("S-A B-A M-A E-A I-A", [(0, 1, "A"), (1, 4, "A"), (4, 5, "A")]),
        ("B-A L-A U-B", [(0, 2, "A"), (2, 3, "B")]),
        ("NOUN NOUN VERB", [(0, 2, "NOUN"), (2, 3, "VERB")]),
        ("B-LOAN-AMOUNT I-LOAN-AMOUNT", [(0, 2, "LOAN-AMOUNT")]),
        ("B- -", [(0, 1, "B-"), (1, 2, "-")]),
        ("", []),
    ],
)
def test_entities(tags, found):
    assert entities(tags.split()) == found


@given(st.lists(st.sampled_from(["O", *(f"{p}-{label}" for p in "BI" for label in LABELS)]), max_size=12))
def test_in_bio_an_entity_is_a_begin_and_what_goes_on_with_it(tags):
    text = "".join(tag[0] + tag[-1] for tag in tags)  # OO, BA, IB: two letters a tag
    wanted = {
        (match.start() // 2, match.end() // 2, match[0][1])
        for label in LABELS
        for match in re.finditer(rf"(?=(?:..)*$)[BI]{label}(?:I{label})*", text)
        if match.start() % 2 == 0
    }
    assert set(entities(tags)) == wanted


def test_scores_are_totals_over_all_texts():
    ours = ["B-A I-A O", "O O", "B-A B-B"]
    theirs = ["B-A I-A O", "B-A O", "B-A B-A"]  # 2 of 3 found are true, of 4
    assert compute("entity_precision", ours, theirs) == pytest.approx(2 / 3)
    assert compute("entity_recall", ours, theirs) == pytest.approx(2 / 4)
    assert compute("entity_f1", ours, theirs) == pytest.approx(4 / 7)
    assert compute("entity_f1", ["O"], ["O"]) == 0.0


def test_it_is_seqevals():
    seqeval = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    import random

    draw = random.Random(0)
    kinds = ["O", "O", *(f"{p}-{label}" for p in "BIES" for label in LABELS)]
    for _ in range(200):
        ours, theirs = ([[draw.choice(kinds) for _ in range(9)] for _ in range(3)] for _ in range(2))
        as_text = [[" ".join(one) for one in side] for side in (ours, theirs)]
        assert compute("entity_f1", *as_text) == pytest.approx(seqeval.f1_score(theirs, ours))
