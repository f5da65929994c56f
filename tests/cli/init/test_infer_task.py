from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.cli.init.infer_task import guesses

WORDS = ["good day", "bad day", "a fine film", "no", "never again", "yes"]


def table(**columns: list[object]) -> tuple[list[str], list[dict[str, object]]]:
    names = list(columns)
    return names, [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize(
    ("columns", "task", "fields"),
    [
        ({"messages": [[{"role": "user", "content": "x"}]]}, "causal-lm", {"messages": "messages"}),
        ({"dialog": [[{"role": "user", "content": "x"}]]}, "causal-lm", {"messages": "dialog"}),
        (
            {"conversations": [[{"from": "human", "value": "x"}]]},
            "causal-lm",
            {"conversations": "conversations"},
        ),
        (
            {"prompt": ["a"], "completion": ["b"]},
            "causal-lm",
            {"prompt": "prompt", "completion": "completion"},
        ),
        ({"Question": ["a"], "Answer": ["b"]}, "causal-lm", {"prompt": "Question", "completion": "Answer"}),
        (
            {"instruction": ["a"], "input": [""], "output": ["b"]},
            "causal-lm",
            {"instruction": "instruction", "input": "input", "output": "output"},
        ),
        (
            {"id": list("123456"), "text": WORDS, "label": list("ababab")},
            "sequence-classification",
            {"text": "text", "label": "label"},
        ),
        (
            {"review": WORDS, "stars": ["1", "5", "5", "1", "1", "5"]},
            "sequence-classification",
            {"text": "review", "label": "stars"},
        ),
        (
            {"tweet": WORDS, "rating": ["1.5", "-2", "3", "0", "1", "2"]},
            "regression",
            {"text": "tweet", "target": "rating"},
        ),
        (
            {"image": ["a.png", "b.png", "c.png", "d.png"], "label": [0, 1, 0, 1]},
            "image-classification",
            {"image": "image", "label": "label"},
        ),
        ({"text": WORDS}, "causal-lm", {"text": "text"}),
    ],
)
def test_the_likeliest_reading(columns: dict[str, list[object]], task: str, fields: dict[str, str]):
    first = guesses(*table(**columns))[0]
    assert (first.task, dict(first.fields)) == (task, fields)


def test_text_and_label_also_do_as_prompt_and_completion():
    found = guesses(*table(text=WORDS, label=list("ababab")))
    second = next(one for one in found if one.task == "causal-lm")
    assert second.fields == {"prompt": "text", "completion": "label"}
    assert second.doubts


def test_a_label_that_never_repeats_is_doubted():
    (first, *_) = guesses(*table(text=WORDS, label=list("abcdef")))
    assert "6 different values" in first.doubts[0]


def test_numbers_alone_do_for_nothing():
    assert guesses(*table(a=[1, 2], b=[3, 4])) == []


CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=2), max_size=2)
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["text", "label", "image", "x", "messages"]), CELLS), max_size=6)
)
def test_any_rows_give_guesses_about_their_own_columns(rows: list[dict[str, object]]):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for guess in guesses(columns, rows):
        assert set(guess.fields.values()) <= set(columns)
