"""What beside its messages a row's conversation is made of, and columns that nothing is taken from."""

import json

import pytest

from tunesmith.data.load import load_rows
from tunesmith.recipe.schema.data import Data
from tunesmith.recipe.tasks.language import CAUSAL_LM

NEEDS = CAUSAL_LM.row_schema
ASK, SAY = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def load(tmp_path, row, count=3, **fields):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"n": i} | row) + "\n" for i in range(count)))
    clean = {"duplicates": "keep", "leakage": "keep", "malformed": "drop", "empty": "drop"}
    data = {"train": {"source": str(path), **fields}, "eval": {"source": str(path), **fields}, "clean": clean}
    return load_rows(Data.model_validate(data), NEEDS, 0)


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [([ASK], [SAY]), ("q", [SAY]), ([ASK], "a"), ([{"from": "human", "value": "q"}], "a")],
)
def test_prompts_and_completions_that_are_messages(tmp_path, prompt, completion) -> None:
    loaded = load(tmp_path, {"prompt": prompt, "completion": completion})
    assert loaded.train[0].fields["messages"] == [ASK, SAY]


def test_answers_in_a_prompt_are_seen_only(tmp_path) -> None:
    loaded = load(tmp_path, {"prompt": [ASK, SAY, ASK], "completion": [SAY]})
    seen = [turn.get("seen_only", False) for turn in loaded.train[0].fields["messages"]]
    assert seen == [False, True, False, False]


@pytest.mark.parametrize("tools", [TOOLS, json.dumps(TOOLS)])
def test_what_the_template_is_given_beside(tmp_path, tools) -> None:
    row = {"messages": [ASK, SAY], "tools": tools, "documents": [], "chat_template_kwargs": {"short": True}}
    loaded = load(tmp_path, row)
    fields = loaded.train[0].fields
    assert (fields["tools"], fields["chat_template_kwargs"]) == (TOOLS, {"short": True})
    assert "documents" not in fields
    assert [note.split(" of ")[0] for note in loaded.report.notes] == ["note: nothing is taken from `n`"]
    named = load(tmp_path, {"messages": [ASK, SAY], "functions": tools}, tools="functions")
    assert named.train[0].fields["tools"] == TOOLS


def test_columns_that_nothing_is_taken_from_are_named(tmp_path) -> None:
    [note] = load(tmp_path, {"talk": [ASK, SAY], "tools": TOOLS}, messages="talk").report.notes
    assert note.startswith("warning: nothing is taken from `n`, `tools` of ")


def test_rows_with_other_functions_are_no_duplicates(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"messages": [ASK, SAY], "tools": [{"name": name}]} for name in "fgf"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = Data.model_validate({"train": {"source": str(path)}, "eval": {"holdout": 1}})
    assert load_rows(data, NEEDS, 0).report.findings.found["duplicates"] == 1


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"tool_calls": [{"function": {}}]}, "names no function"),
        ({"tool_calls": "no"}, "not a list of mappings"),
        ({"function_call": {"name": "f"}}, "write it as `tool_calls`"),
        ({"loss_mask": [0, 1]}, "`weight: 0`"),
        ({"weight": 0.5}, "only 0 and 1"),
    ],
)
def test_what_is_not_understood_is_told(tmp_path, message, said) -> None:
    from tunesmith.errors import UserError

    with pytest.raises(UserError, match=said):
        load(tmp_path, {"messages": [ASK, {**SAY, **message}]})


def test_calls_reasoning_and_weights_stay(tmp_path) -> None:
    call = {"function": {"name": "f", "arguments": '{"x": 1}'}}
    more = {"content": "", "tool_calls": [call], "reasoning_content": "hm", "train": False, "name": None}
    [_, said] = load(tmp_path, {"messages": [ASK, {**SAY, **more}]}).train[0].fields["messages"]
    kept = {"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}], "reasoning_content": "hm"}
    assert said == {"role": "assistant", "content": "", "weight": 0, **kept}
