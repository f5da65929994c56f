"""From columns to the fields of a task."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from tunesmith.errors import UserError
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import REGRESSION, SEQUENCE_CLASSIFICATION
from tunesmith.recipe.tasks.vision import IMAGE_CLASSIFICATION

CHAT = CAUSAL_LM.row_schema
LABELLED = SEQUENCE_CLASSIFICATION.row_schema
RATED = REGRESSION.row_schema
PICTURES = IMAGE_CLASSIFICATION.row_schema
U, A, S = "user", "assistant", "system"


def said(*turns: tuple[str, str]) -> dict:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


QA = said((U, "q"), (A, "a"))

# columns of the row, what the recipe says, fields of the task
SHAPES = {
    "messages": ({"messages": QA["messages"]}, {}, QA),
    "messages under another name": ({"chat": QA["messages"]}, {"messages": "chat"}, QA),
    "messages as JSON text": ({"messages": json.dumps(QA["messages"])}, {}, QA),
    "parts of text": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, QA["messages"][1]]},
        {},
        QA,
    ),
    "ShareGPT": ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, {}, QA),
    "ShareGPT with a system turn": (
        {
            "conversations": [
                {"from": "system", "value": "s"},
                {"from": "human", "value": "q"},
                {"from": "gpt", "value": "a"},
            ]
        },
        {},
        said((S, "s"), (U, "q"), (A, "a")),
    ),
    "conversations spelt with roles": ({"conversations": QA["messages"]}, {}, QA),
    "prompt and completion": ({"prompt": "q", "completion": "a"}, {}, QA),
    "with a system column": (
        {"prompt": "q", "completion": "a", "system": "s"},
        {},
        said((S, "s"), (U, "q"), (A, "a")),
    ),
    "with a system text": (
        {"prompt": "q", "completion": "a"},
        {"system": "Be kind."},
        said((S, "Be kind."), (U, "q"), (A, "a")),
    ),
    "templates": (
        {"text": "q", "label": 7},
        {"prompt": "What is {text}?", "completion": "{label}"},
        said((U, "What is q?"), (A, "7")),
    ),
    "columns named": ({"question": "q", "answer": "a"}, {"prompt": "question", "completion": "answer"}, QA),
    "instruction": ({"instruction": "q", "output": "a"}, {}, QA),
    "instruction and input": (
        {"instruction": "Add.", "input": "1 2", "output": "3"},
        {},
        said((U, "Add.\n\n1 2"), (A, "3")),
    ),
    "instruction and empty input": ({"instruction": "q", "input": "", "output": "a"}, {}, QA),
    "instruction and no input": ({"instruction": "q", "input": None, "output": "a"}, {}, QA),
    "text": ({"text": "t"}, {}, {"text": "t"}),
    "conversations are preferred to text": ({"messages": QA["messages"], "text": "t"}, {}, QA),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_language_models(write, rows_of, name) -> None:
    columns, settings, fields = SHAPES[name]
    other = json.loads(re.sub(r"\b(q|t|Add)\b", "another", json.dumps(columns)))
    path = write("d.jsonl", [columns, other])
    assert rows_of({"source": path} | settings)[0].fields == fields


def test_the_row_s_own_system_turn_comes_first(write, rows_of) -> None:
    own = said((S, "own"), (U, "q"), (A, "a"))
    rows = rows_of({"source": write("d.jsonl", [own, QA]), "system": "theirs"})
    assert [row.fields["messages"][0]["content"] for row in rows] == ["own", "theirs"]


def test_labels_and_targets(write, rows_of) -> None:
    path = write("d.jsonl", [{"text": "a", "label": 3, "y": "0.5"}, {"text": "b", "label": True, "y": 2}])
    assert [row.fields for row in rows_of({"source": path}, needs=LABELLED)] == [
        {"text": "a", "label": "3"},
        {"text": "b", "label": "true"},
    ]
    assert [
        row.fields["target"] for row in rows_of({"source": path, "text": "text", "target": "y"}, needs=RATED)
    ] == [0.5, 2.0]


def test_values_are_rewritten(write, rows_of) -> None:
    path = write("d.jsonl", [{"text": "a", "label": 0}, {"text": "b", "label": 1}])
    source = {"source": path, "values": {"label": {"0": "no", "1": "yes"}}}
    assert [row.fields["label"] for row in rows_of(source, needs=LABELLED)] == ["no", "yes"]
    for values, words in (
        ({"label": {"0": "no"}}, "the value `1` of column `label`"),
        ({"lable": {}}, "did you mean `label`"),
    ):
        with pytest.raises(UserError) as caught:
            rows_of(source | {"values": values}, needs=LABELLED)
        assert words in str(caught.value)
    with pytest.raises(UserError, match=r"d\.jsonl:2"):
        rows_of(source | {"values": {"label": {"0": "no"}}}, needs=LABELLED)


def test_images_are_paths_beside_the_file_or_pixels(write, tmp_path, rows_of) -> None:
    (tmp_path / "images").mkdir()
    for number in range(2):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / "images" / f"{number}.png")
    rows = [{"image": f"images/{number}.png", "label": number} for number in range(2)]
    found = rows_of({"source": write("d.jsonl", rows)}, needs=PICTURES)
    assert found[0].fields == {"image": str(tmp_path / "images" / "0.png"), "label": "0"}
    (tmp_path / "gives_pixels.py").write_text(
        "import numpy as np\nfrom PIL import Image\n"
        "def rows():\n"
        "    return [{'image': np.full((2, 2), n), 'label': n} for n in range(2)] + [\n"
        "        {'image': Image.new('L', (2, 2)), 'label': 2}, {'image': np.full((2, 2), 0), 'label': 0}]\n"
    )
    found = rows_of({"source": "python:gives_pixels:rows"}, needs=PICTURES)
    assert len(found) == 3, "equal pixels are duplicates"
    assert np.array_equal(found[1].fields["image"], np.ones((2, 2)))


# columns, settings, needs, words of the message
MISTAKES = {
    "nothing fits": ({"a": 1}, {}, CHAT, "the task needs a conversation"),
    "the columns are listed": ({"a": 1}, {}, CHAT, "the columns are `a`"),
    "half a pair": ({"q": 1}, {"prompt": "q"}, CHAT, "without `completion`"),
    "two spellings": (
        {"q": 1, "m": 1},
        {"prompt": "q", "completion": "q", "messages": "m"},
        CHAT,
        "two spellings",
    ),
    "unknown column": ({"question": 1}, {"text": "qestion"}, CHAT, "did you mean `question`"),
    "no label": ({"text": "x"}, {}, LABELLED, "`text` and `label`"),
    "a label mapped alone": ({"text": "x", "c": 1}, {"label": "c"}, LABELLED, "maps `label` alone"),
    "useless": (
        {"text": "x", "label": "y"},
        {"text": "text", "label": "label"},
        CHAT,
        "`label` means nothing to this task",
    ),
    "system without conversation": (
        {"text": "x"},
        {"system": "s", "text": "text"},
        CHAT,
        "`system` is given",
    ),
    "template of messages": ({"m": 1}, {"messages": "{m} {m}"}, CHAT, "is a template"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_of_mapping(write, load, name) -> None:
    columns, settings, needs, words = MISTAKES[name]
    path = write("d.jsonl", [columns, columns])
    with pytest.raises(UserError) as caught:
        load({"source": path} | settings, needs=needs)
    assert words in str(caught.value)
    assert caught.value.where == "data.train"


# columns, needs, reason, words of the detail
BAD_ROWS = {
    "blank prompt": ({"prompt": " ", "completion": "a"}, CHAT, "empty", "`prompt` is empty"),
    "absent completion": ({"prompt": "q", "completion": None}, CHAT, "empty", "`completion` is empty"),
    "null text": ({"text": None}, CHAT, "empty", "`text` is empty"),
    "list as text": ({"text": ["a"]}, CHAT, "malformed", "is a list, not text"),
    "no turns": ({"messages": []}, CHAT, "empty", "is empty"),
    "turns that are text": ({"messages": "hello"}, CHAT, "malformed", "not a list of messages"),
    "unknown role": (said(("narrator", "x")), CHAT, "malformed", "unknown role `narrator`"),
    "no role": ({"messages": [{"content": "x"}]}, CHAT, "malformed", "neither"),
    "a blank answer": (said((U, "q"), (A, "")), CHAT, "empty", "message 2"),
    "a null answer": (said((U, "q"), (A, None)), CHAT, "empty", "message 2"),
    "tool calls": (
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [1]}]},
        CHAT,
        "malformed",
        "`tool_calls` of",
    ),
    "an image in a turn": (
        {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
        CHAT,
        "malformed",
        "not text",
    ),
    "blank label": ({"text": "x", "label": " "}, LABELLED, "empty", "`label` is empty"),
    "NaN": ({"text": "x", "target": float("nan")}, RATED, "malformed", "`target` is nan"),
    "word": ({"text": "x", "target": "much"}, RATED, "malformed", "not a number"),
    "no such image": ({"image": "nope.png", "label": 1}, PICTURES, "malformed", "does not exist"),
    "an image that is no image": ({"image": {"a": 1}, "label": 1}, PICTURES, "empty", "`image` is empty"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_found_by_line(write, load, name) -> None:
    columns, needs, reason, words = BAD_ROWS[name]
    path = write("d.jsonl", [columns])
    with pytest.raises(UserError) as caught:
        load({"source": path}, needs=needs, clean={"empty": "error", "malformed": "error"})
    assert words in str(caught.value), str(caught.value)
    assert f"clean.{reason}" in caught.value.hint
    assert caught.value.where == f"{path}:1"
