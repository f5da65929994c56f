"""Tokens beyond the table of embeddings, and tokenizers that give up."""

from types import SimpleNamespace

import pytest

from tunesmith.errors import UserError
from tunesmith.tasks.language.tokens import giving_up, refuse_unknown_prompt, refuse_unknown_tokens


def config(size: int) -> SimpleNamespace:
    text = SimpleNamespace(vocab_size=size)
    return SimpleNamespace(get_text_config=lambda: text)


class Tokenizer(SimpleNamespace):
    pad_token_id = 0

    def get_vocab(self):
        return {"a": 0, "b": 1, "<city>": 2}

    def convert_ids_to_tokens(self, token):
        return ["a", "b", "<city>"][token]


ROWS = [{"id": "rows:1", "input_ids": [0, 1]}, {"id": "rows:2", "input_ids": [0, 2, 1]}]


def test_a_token_without_an_embedding_names_its_row() -> None:
    refuse_unknown_tokens(ROWS, Tokenizer(), config(3))
    refuse_unknown_tokens(ROWS[:1], Tokenizer(), config(2))
    with pytest.raises(UserError, match=r"row `rows:2` has the token `<city>` with the number 2") as caught:
        refuse_unknown_tokens(ROWS, Tokenizer(), config(2))
    assert "resize_token_embeddings" in caught.value.hint


def test_padding_and_questions_are_looked_at_too() -> None:
    with pytest.raises(UserError, match="the tokenizer pads with the token `<city>`"):
        refuse_unknown_tokens(ROWS[:1], Tokenizer(pad_token_id=2), config(2))
    with pytest.raises(UserError, match="question 1 has the token `<city>`"):
        refuse_unknown_prompt([0, 2], Tokenizer(), config(2), "question 1")


class PanicException(BaseException):
    """As the library's."""


@pytest.mark.parametrize("error", [Exception("retry-limit-in-match over"), PanicException("it panicked")])
def test_a_tokenizer_that_gives_up_names_the_row(error) -> None:
    with pytest.raises(UserError, match="gives up on row `rows:4`"), giving_up("rows:4"):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("ours"), UserError("his")])
def test_nothing_else_is_taken_for_that(error) -> None:
    with pytest.raises(type(error)), giving_up("rows:4"):
        raise error
