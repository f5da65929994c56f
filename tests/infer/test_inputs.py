"""Rows of a file become what training showed the model."""

import json
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.infer.inputs import read_questions
from tunesmith.recipe.schema.recipe import Recipe


def recipe(task: str = "causal-lm", **fields) -> Recipe:
    rows = {"source": "/nowhere/gone.jsonl", **fields}
    return Recipe.model_validate(
        {
            "task": task,
            "model": {"source": "/nowhere/base"},
            "data": {"train": [rows]},
            "optimizer": {"learning_rate": 1e-3},
            "batch": {"size": 8},
        }
    )


def write(path: Path, *rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be kind."}


@pytest.mark.parametrize(
    ("fields", "row", "messages", "reference"),
    [
        ({"prompt": "Q: {text}", "completion": "{label}"}, {"text": "Hi"}, [("user", "Q: Hi")], None),
        (
            {"prompt": "Q: {text}", "completion": "label"},
            {"text": "Hi", "label": "A"},
            [("user", "Q: Hi")],
            "A",
        ),
        ({"prompt": "asked", "completion": "said"}, {"prompt": "Hi", "output": "A"}, [("user", "Hi")], "A"),
        ({}, {"messages": [USER]}, [("user", "Hi")], None),
        ({}, {"messages": [USER, ANSWER]}, [("user", "Hi")], "Hello"),
        (
            {},
            {"messages": [USER, ANSWER, USER]},
            [("user", "Hi"), ("assistant", "Hello"), ("user", "Hi")],
            None,
        ),
        ({}, {"conversations": [{"from": "human", "value": "Hi"}]}, [("user", "Hi")], None),
        ({}, {"instruction": "Add", "input": "1 1", "output": "2"}, [("user", "Add\n\n1 1")], "2"),
        ({}, {"instruction": "Add", "output": "2"}, [("user", "Add")], "2"),
        (
            {"prompt": "text", "completion": "label", "system": "Be kind."},
            {"text": "Hi"},
            [("system", "Be kind."), ("user", "Hi")],
            None,
        ),
        ({"messages": "messages", "system": "Other."}, {"messages": [SYSTEM, USER]}, None, None),
    ],
)
def test_conversations(tmp_path, fields, row, messages, reference) -> None:
    [question] = read_questions(write(tmp_path / "in.jsonl", row), recipe(**fields)).questions
    wanted = messages or [("system", "Be kind."), ("user", "Hi")]
    assert [(turn["role"], turn["content"]) for turn in question.messages] == wanted
    assert question.text == wanted[-1][1]
    assert question.reference == reference


def test_plain_text_continues_itself(tmp_path) -> None:
    [question] = read_questions(
        write(tmp_path / "in.jsonl", {"text": "Once upon"}), recipe(text="text")
    ).questions
    assert question.messages is None
    assert question.text == "Once upon"


def test_a_row_that_has_a_name_keeps_it(tmp_path) -> None:
    rows = [{"id": "a7", "text": "x"}, {"id": 9, "text": "x"}, {"text": "x"}]
    path = write(tmp_path / "in.jsonl", *rows)
    names = [question.id for question in read_questions(path, recipe(text="text")).questions]
    assert names == ["a7", "9", "in.jsonl:3"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("in.csv", "text,label\nHi,A\n"),
        ("in.txt", "Hi\n"),
        ("in.tsv", "text\nHi\n"),
        ("in.json", '[{"text": "Hi"}]'),
        ("in.data", '{"text": "Hi"}\n'),
        ("noending", '\n{"text": "Hi"}\n\n'),
    ],
)
def test_other_formats(tmp_path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    [question] = read_questions(path, recipe(prompt="<{text}>", completion="{label}")).questions
    assert question.text == "<Hi>"


def test_values_are_rewritten_as_in_training(tmp_path) -> None:
    rows = [{"text": "x", "kind": "0"}, {"text": "x", "kind": "never seen"}]
    task = recipe("sequence-classification", text="text", label="kind", values={"kind": {"0": "no"}})
    questions = read_questions(write(tmp_path / "in.jsonl", *rows), task).questions
    assert [question.reference for question in questions] == ["no", "never seen"]


def test_a_number_stays_one(tmp_path) -> None:
    rows = write(tmp_path / "in.jsonl", {"text": "x", "rating": 1.5})
    [question] = read_questions(rows, recipe("regression", text="text", target="rating")).questions
    assert question.reference == 1.5


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        ('{"text": "a"}\n{"text": \n', {"text": "text"}, ["in.jsonl:2", "malformed"]),
        ('{"text": " "}\n', {"text": "text"}, ["in.jsonl", "every row of the file is empty"]),
        ('{"text": "a"}\n{"text": ["b"]}\n', {"text": "text"}, ["in.jsonl:2", "not text"]),
        (
            '{"messages": [{"role": "assistant", "content": "a"}]}\n',
            {},
            ["in.jsonl:1", "does not end with a user"],
        ),
        ('{"messages": [{"role": "king", "content": "a"}]}\n', {}, ["in.jsonl:1", "unknown role `king`"]),
        (
            '{"story": "a"}\n',
            {"prompt": "{text}?", "completion": "x"},
            ["`prompt: {text}?`", "`story`", "hint"],
        ),
        ("", {"text": "text"}, ["no rows"]),
        ("\n\n", {"text": "text"}, ["no rows"]),
    ],
)
def test_what_cannot_be_asked_is_named(tmp_path, text: str, fields, words) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_questions(path, recipe(**fields))
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_questions(tmp_path / "gone.jsonl", recipe(text="text"))


def test_a_missing_image_is_named(tmp_path) -> None:
    rows = write(tmp_path / "in.jsonl", {"image": "gone.png"})
    with pytest.raises(UserError, match=r"gone\.png` does not exist"):
        read_questions(rows, recipe("image-classification", image="image", label="label"))
