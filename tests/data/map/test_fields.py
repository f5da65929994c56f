"""Rows of tasks with fields of any name and kind: mapped, checked, compared, split."""

from __future__ import annotations

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.spec import Field, RowSchema
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

PAIRS = RowSchema((Field("prompt", "text"),), (Field("chosen", "text"), Field("rejected", "text")))
CHATS = RowSchema((Field("prompt", "chat"),), (Field("chosen", "chat"), Field("rejected", "chat")))
PLACES = RowSchema(
    (Field("text", "text"),), (Field("names", "spans"), Field("topics", "labels", optional=True))
)
ROWS = [{"q": f"question {n}", "good": f"yes {n}", "bad": f"no {n}"} for n in range(6)]
FIELDS = {"prompt": "q", "chosen": "good", "rejected": "bad"}


def test_fields_of_any_name_are_mapped(write, rows_of) -> None:
    rows = rows_of({"source": write("d.jsonl", ROWS), "fields": FIELDS}, needs=PAIRS)
    assert rows[0].fields == {"prompt": "question 0", "chosen": "yes 0", "rejected": "no 0"}
    named = [{new: row[old] for new, old in FIELDS.items()} for row in ROWS]
    again = rows_of({"source": write("e.jsonl", named)}, needs=PAIRS)
    assert [row.fields for row in again] == [row.fields for row in rows]


def test_a_short_form_is_the_same(write, load) -> None:
    path = write("d.jsonl", [{"review": f"text {n}", "stars": n % 2} for n in range(40)])
    schema = SEQUENCE_CLASSIFICATION.row_schema
    short = load({"source": path, "text": "review", "label": "stars"}, needs=schema)
    mapped = load({"source": path, "fields": {"text": "review", "label": "stars"}}, needs=schema)
    mixed = load({"source": path, "text": "review", "fields": {"label": "stars"}}, needs=schema)
    assert short.fingerprint == mapped.fingerprint == mixed.fingerprint
    assert short.train == mapped.train == mixed.train


def test_one_side_of_a_conversation(write, rows_of) -> None:
    source = {"source": write("d.jsonl", ROWS), "fields": {**FIELDS, "system": "Be {good}."}}
    fields = rows_of(source, needs=CHATS)[0].fields
    assert fields["prompt"] == [
        {"role": "system", "content": "Be yes 0."},
        {"role": "user", "content": "question 0"},
    ]
    assert fields["rejected"] == [{"role": "assistant", "content": "no 0"}]


def test_inputs_decide_what_leaks_and_targets_what_is_the_same(write, load) -> None:
    rows = [*ROWS, {**ROWS[0], "good": "other"}, ROWS[1]]
    loaded = load({"source": write("d.jsonl", rows), "fields": FIELDS}, needs=PAIRS)
    found = loaded.report.findings.found
    assert (found["duplicates"], found["conflicts"]) == (1, 1)
    held = [{"q": ROWS[2]["q"], "good": "a", "bad": "b"}]
    own = {"eval": {"source": write("e.jsonl", held), "fields": FIELDS}}
    loaded = load({"source": write("d.jsonl", ROWS), "fields": FIELDS}, needs=PAIRS, **own)
    assert loaded.report.findings.found["leakage"] == 1


def test_spans_lie_in_their_text(write, load) -> None:
    good = {"text": "Ann is 7", "names": [[0, 3, "NAME"]], "topics": "a;b"}
    wrong = {"text": "Bo", "names": [[0, 3, "NAME"]]}
    with pytest.raises(UserError) as told:
        load({"source": write("d.jsonl", [good, wrong])}, needs=PLACES)
    assert "d.jsonl:2" in str(told.value)
    assert "ends at 3, and `text` has 2 characters" in str(told.value)
    fields = {"text": "Name: {text}", "names": "names"}
    with pytest.raises(UserError, match="is a template"):
        load({"source": write("d.jsonl", [good]), "fields": fields}, needs=PLACES)


def test_optional_fields_may_be_missing(write, rows_of) -> None:
    rows = [{"text": f"Ann {n}", "names": [[0, 3, "NAME"]], "topics": ["x"] if n else None} for n in range(3)]
    found = rows_of({"source": write("d.jsonl", rows)}, needs=PLACES)
    assert ["topics" in row.fields for row in found] == [False, True, True]
    without = [{name: row[name] for name in ("text", "names")} for row in rows]
    assert len(rows_of({"source": write("e.jsonl", without)}, needs=PLACES)) == 3


def test_shares_of_classes_are_kept_whatever_their_field_is_called(write, load) -> None:
    schema = RowSchema((Field("body", "text"),), (Field("mood", "label"),))
    rows = [{"body": f"text {n}", "mood": "good" if n % 10 else "bad"} for n in range(200)]
    loaded = load({"source": write("d.jsonl", rows)}, needs=schema, eval={"holdout": 20})
    assert [row.fields["mood"] for row in loaded.eval].count("bad") == 2
    several = RowSchema((Field("body", "text"),), (Field("moods", "labels"),))
    rows = [{"body": f"text {n}", "moods": "a;b" if n % 10 else "b"} for n in range(200)]
    loaded = load({"source": write("d.jsonl", rows)}, needs=several, eval={"holdout": 20})
    assert [row.fields["moods"] for row in loaded.eval].count(["b"]) == 2


def test_classes_spelt_in_two_ways_are_told_by_field(write, load) -> None:
    rows = [
        {"text": f"Ann {n}", "names": [[0, 3, "NAME" if n else "name"]], "topics": "name"} for n in range(9)
    ]
    with pytest.raises(UserError, match="label 'name' \\(1 rows\\) looks like 'NAME' \\(8 rows\\)"):
        load({"source": write("d.jsonl", rows)}, needs=PLACES)


MISTAKES = {
    "unknown": ({"promt": "q"}, "no field `promt`", "did you mean `prompt`"),
    "unknown column": ({**FIELDS, "prompt": "qu"}, "names the column `qu`", "`q`, `good`, `bad`"),
    "one is missing": (
        {"prompt": "q", "chosen": "good"},
        "maps `chosen`, `prompt` alone",
        "the columns are `q`",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_what_there_is(write, load, name) -> None:
    fields, what, hint = MISTAKES[name]
    with pytest.raises(UserError) as told:
        load({"source": write("d.jsonl", ROWS), "fields": fields}, needs=PAIRS)
    assert what in str(told.value)
    assert hint in str(told.value)
