"""Training rows of an adapter that stays apart go on with the base's own end, where it knows no other."""

from types import SimpleNamespace

import pytest

from tunesmith.data.row import Skip
from tunesmith.prepare import adapter_settings
from tunesmith.prepare.adapter_settings import closing_token
from tunesmith.recipe.tasks.table import TASKS
from tunesmith.tasks.language.examples import closed

ROW = {"id": "a", "input_ids": [5, 6, 7, 8, 9], "supervised": [0, 0, 1, 1, 0], "length": 5, "reference": "x"}


def test_the_end_comes_right_after_the_last_answer() -> None:
    row = closed(ROW, 3, 100)
    assert (row["input_ids"], row["supervised"], row["length"]) == ([5, 6, 7, 8, 3], [0, 0, 1, 1, 1], 5)


@pytest.mark.parametrize(
    ("row", "token", "most"),
    [
        (ROW, None, 100),
        (ROW, 8, 100),
        (ROW, 3, 4),
        ({**ROW, "reference": ""}, 3, 100),
        (Skip("a", "x"), 3, 9),
    ],
    ids=["none needed", "there already", "no room", "plain text", "left out"],
)
def test_else_a_row_is_left_as_it_is(row, token, most) -> None:
    assert closed(row, token, most) is row


class Tokenizer(SimpleNamespace):
    chat_template = "there is one"
    eos_token_id = 3

    def convert_ids_to_tokens(self, token):
        return f"<{token}>"


def recipe(*, merge: str = "no", lora: bool = True, task: str = "causal-lm") -> SimpleNamespace:
    model = SimpleNamespace(source="org/base", chat_template=None)
    return SimpleNamespace(
        task=TASKS[task].settings(),
        model=model,
        run=SimpleNamespace(merge=merge),
        tune=SimpleNamespace(lora=lora or None),
    )


@pytest.mark.parametrize(
    ("made", "mark", "ends", "found"),
    [
        (recipe(), 7, (3,), 3),
        (recipe(merge="auto"), 7, (3,), 3),
        (recipe(), 7, (3, 7), None),
        (recipe(), None, (3,), None),
        (recipe(), 7, (), None),
        (recipe(merge="yes"), 7, (3,), None),
        (recipe(lora=False), 7, (3,), None),
        (recipe(task="regression"), 7, (3,), None),
    ],
)
def test_only_an_adapter_over_a_base_that_stops_elsewhere_needs_one(
    monkeypatch, made, mark, ends, found
) -> None:
    monkeypatch.setattr(adapter_settings, "turn_end_of", lambda _: mark)
    monkeypatch.setattr(adapter_settings, "plain_ends", lambda *_: ends)
    assert closing_token(made, Tokenizer(), None) == found
