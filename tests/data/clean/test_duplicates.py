"""What is found, what is dropped, and what the report says of it."""

from __future__ import annotations

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.text import SEQUENCE_CLASSIFICATION

LABELLED = SEQUENCE_CLASSIFICATION.row_schema
LONG = " ".join(f"word{number}" for number in range(60))
ROWS = [
    {"text": "one", "label": "a"},
    {"text": "one ", "label": "a"},  # the same after normalisation
    {"text": "one", "label": "b"},  # a conflict
    {"text": "", "label": "a"},
    {"text": LONG, "label": "a"},
    {"text": LONG.replace("word30", "other"), "label": "a"},
    {"text": "two", "label": "a"},
]


def texts(rows) -> list[str]:
    return [row.fields["text"][:5] for row in rows]


def test_everything_is_counted_whatever_is_done_about_it(write, load) -> None:
    path = write("d.jsonl", ROWS)
    loaded = load({"source": path}, needs=LABELLED)
    report = loaded.report.to_dict()
    expected = {"empty": 1, "duplicates": 1, "conflicts": 1, "near_duplicates": 1}
    found = {reason: count for reason, count in report["found"].items() if count and reason != "leakage"}
    assert found == expected
    assert report["dropped"]["duplicates"] == 1
    assert report["dropped"]["near_duplicates"] == 0
    assert report["dropped"]["conflicts"] == 0
    assert report["examples_of"]["duplicates"] == [{"id": "d.jsonl:2", "detail": "the same as d.jsonl:1"}]
    assert report["sources"] == [{"source": path, "rows": 7}]


@pytest.mark.parametrize(
    ("clean", "left"),
    [
        ({}, 5),
        ({"near_duplicates": "drop"}, 4),
        ({"duplicates": "keep"}, 6),
        ({"duplicates": "keep", "near_duplicates": "drop"}, 5),
    ],
)
def test_policies_decide_what_is_left(write, load, clean, left) -> None:
    loaded = load({"source": write("d.jsonl", ROWS)}, needs=LABELLED, clean={"leakage": "keep"} | clean)
    assert len(loaded.train) + len(loaded.eval) == left


@pytest.mark.parametrize(
    ("clean", "words", "line"),
    [
        ({"empty": "error"}, "empty rows: 1", 4),
        ({"duplicates": "error"}, ": duplicate rows: 1", 2),
        ({"near_duplicates": "error"}, "near-duplicate rows: 1", 6),
    ],
)
def test_error_names_the_rows(write, load, clean, words, line) -> None:
    path = write("d.jsonl", ROWS)
    with pytest.raises(UserError) as caught:
        load({"source": path}, needs=LABELLED, clean=clean)
    assert words in str(caught.value)
    assert caught.value.where == f"{path}:{line}"


def test_malformed_rows_are_an_error_unless_dropped(write, load) -> None:
    path = write("d.jsonl", b'{"text": "a"}\nbroken\n{"text": "b"}\n' + b"x\n" * 7)
    with pytest.raises(UserError) as caught:
        load({"source": path})
    message = str(caught.value)
    assert message.startswith(f"{path}:2: rows that cannot be read: 8")
    assert "and 3 more" in message
    assert "data.clean.malformed: drop" in message
    loaded = load({"source": path}, clean={"malformed": "drop"})
    assert loaded.report.to_dict()["dropped"]["malformed"] == 8
    assert len(loaded.report.to_dict()["examples_of"]["malformed"]) == 5


def test_leaks_are_dropped_from_training_whatever_their_answer(write, load) -> None:
    train = write("t.jsonl", [{"text": "one", "label": "a"}, {"text": "two", "label": "a"}])
    held_out = write("e.jsonl", [{"text": "one  ", "label": "b"}, {"text": "three", "label": "a"}])
    loaded = load({"source": train}, needs=LABELLED, eval={"source": held_out})
    assert texts(loaded.train) == ["two"]
    assert len(loaded.eval) == 2
    assert loaded.report.to_dict()["dropped"]["leakage"] == 1
    kept = load({"source": train}, needs=LABELLED, eval={"source": held_out}, clean={"leakage": "keep"})
    assert len(kept.train) == 2
    assert kept.report.to_dict()["found"]["leakage"] == 1
    with pytest.raises(UserError, match="stand in the evaluation data too"):
        load({"source": train}, needs=LABELLED, eval={"source": held_out}, clean={"leakage": "error"})


def test_near_leaks_count_where_the_recipe_asks_about_near_duplicates(write, load) -> None:
    train = write("t.jsonl", [{"text": LONG}, {"text": "two"}])
    held_out = write("e.jsonl", [{"text": LONG.replace("word30", "other")}])
    assert len(load({"source": train}, eval={"source": held_out}).train) == 2
    asked = load({"source": train}, eval={"source": held_out}, clean={"near_duplicates": "drop"})
    assert texts(asked.train) == ["two"]
    assert "nearly" in asked.report.to_dict()["examples_of"]["leakage"][0]["detail"]


def test_words_that_all_rows_share_make_no_row_near_another(write, load) -> None:
    rows = [{"text": f"question number {word}", "label": word} for word in ("alpha", "beta", "gamma")]
    source = {
        "source": write("d.jsonl", rows),
        "prompt": LONG + " {text}",
        "completion": "{label}",
        "system": LONG,
    }
    loaded = load(source, clean={"near_duplicates": "error"})
    assert len(loaded.train) + len(loaded.eval) == 3


def test_duplicates_across_sources_are_found_too(write, load) -> None:
    one, two = (
        write("one.jsonl", [{"text": "a"}, {"text": "b"}]),
        write("two.jsonl", [{"text": "b"}, {"text": "c"}]),
    )
    loaded = load({"source": one}, {"source": two})
    assert len(loaded.train) + len(loaded.eval) == 3
    assert loaded.report.to_dict()["examples_of"]["duplicates"][0]["id"] == "two.jsonl:1"


def test_messages_are_duplicates_only_if_the_whole_conversation_is(write, load) -> None:
    def row(*contents):
        roles = ["user", "assistant"] * len(contents)
        return {"messages": [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)]}

    rows = [row("q", "a"), row("q", "b"), row("q", "a", "more", "c"), row("q", " a\n")]
    loaded = load({"source": write("d.jsonl", rows)}, clean={"leakage": "keep"})
    found = loaded.report.to_dict()["found"]
    assert (found["duplicates"], found["conflicts"]) == (1, 1)
    assert len(loaded.train) + len(loaded.eval) == 3


PROGRAMS = [
    "if a:\n    b()\nc()",
    "if a:\n    b()\n    c()",
    "if a:\n\tb()\nc()",
    "if a: b() c()",
    "if a:\r\n    b()\r\nc()",
]


@pytest.mark.parametrize(
    "row",
    [
        lambda text: {"prompt": "write", "completion": text},
        lambda text: {"text": text},
        lambda text: {"prompt": text, "completion": "x"},
        lambda text: {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]},
    ],
)
def test_indentation_and_line_ends_make_another_row(write, load, row) -> None:
    programs = PROGRAMS if "prompt" not in row("") or row("")["prompt"] == "write" else PROGRAMS[:4]
    rows = [row(text) for text in programs] + [row(programs[0])]
    loaded = load({"source": write("d.jsonl", rows)}, clean={"leakage": "keep"})
    assert loaded.report.to_dict()["dropped"]["duplicates"] == 1
    assert len(loaded.train) + len(loaded.eval) == len(programs)
