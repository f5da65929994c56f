"""The tokenizer of a recipe, and its chat template."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.model.processors import PLAIN_TEMPLATE, load_tokenizer, train_tokenizer
from tunesmith.recipe.schema.model import Model, TokenizerSpec, TrainedTokenizer

TALK = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "löwe 🦁"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(path)
    return path


def load(source, **settings):
    return load_tokenizer(Model(source=str(source), **settings), [], encoder=False)


def test_the_template_is_the_model_s_own_unless_said(folder) -> None:
    assert load(folder).chat_template == PLAIN_TEMPLATE


def test_the_template_is_given_as_text_as_a_path_or_taken_away(folder, tmp_path) -> None:
    text = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    path = tmp_path / "mine.jinja"
    path.write_text(text, encoding="utf-8")
    for given_as in (text, str(path)):
        tokenizer = load(folder, chat_template=given_as)
        assert tokenizer.chat_template == text
        assert tokenizer.apply_chat_template(TALK, tokenize=False) == "[hi][löwe 🦁]"
    assert load(folder, chat_template="none").chat_template is None


def test_a_missing_template_is_named(folder, tmp_path) -> None:
    with pytest.raises(UserError, match=r"no chat template at .*gone\.jinja") as caught:
        load(folder, chat_template=str(tmp_path / "gone.jinja"))
    assert caught.value.where == "model.chat_template"


def test_a_missing_pad_token_is_the_end_token(folder, tmp_path) -> None:
    tokenizer = load(folder)
    assert tokenizer.pad_token == "<|pad|>"
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del config["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert load(tmp_path).pad_token == "<|end|>"


def test_another_model_s_tokenizer(folder, tmp_path) -> None:
    model = Model(new={"model_type": "llama"}, tokenizer=TokenizerSpec(source=str(folder)))
    assert load_tokenizer(model, [], encoder=False).get_vocab() == load(folder).get_vocab()


@pytest.mark.parametrize("missing", ["folder", "files"])
def test_no_tokenizer_there(tmp_path, missing) -> None:
    path = tmp_path / "gone" if missing == "folder" else tmp_path
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.hint


def test_a_new_model_without_one() -> None:
    with pytest.raises(UserError, match="a new model needs a tokenizer"):
        load_tokenizer(Model(new={"model_type": "llama"}), [], encoder=False)


@pytest.mark.parametrize("encoder", [False, True])
def test_training_is_a_function_of_the_texts(tiny, encoder) -> None:
    made = [train_tokenizer(iter(tiny.texts * 3), 300, encoder=encoder) for _ in range(2)]
    one, two = (tokenizer.backend_tokenizer.to_str() for tokenizer in made)
    assert one == two
    assert len(made[0]) <= 300
    other = train_tokenizer(["entirely entirely different"], 300, encoder=encoder)
    assert other.backend_tokenizer.to_str() != one


@given(text=st.text(max_size=60))
def test_any_text_comes_back(tokenizer, text) -> None:
    ids = tokenizer(text, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_an_encoder_s_sequences_open_and_close(tiny) -> None:
    model = Model(new={"model_type": "bert"}, tokenizer=TokenizerSpec(train=TrainedTokenizer(vocab_size=300)))
    tokenizer = load_tokenizer(model, iter(tiny.texts), encoder=True)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("the moon")["input_ids"])
    assert (tokens[0], tokens[-1]) == ("<|cls|>", "<|end|>")
    assert tokenizer.chat_template is None
    long = tokenizer("the moon turns orange" * 20, truncation=True, max_length=8)["input_ids"]
    assert (len(long), long[0], long[-1]) == (8, tokenizer.cls_token_id, tokenizer.eos_token_id)


def test_saved_and_reopened(folder, tokenizer) -> None:
    text = tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>hi<|end|>\n<|assistant|>löwe 🦁<|end|>\n<|assistant|>"
    assert load(folder)(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_word_of_millions_of_letters_is_trained_on_in_pieces():
    from tunesmith.model.processors import train_tokenizer

    tokenizer = train_tokenizer(["x" * 8_000_000, "some words " * 10], 300, encoder=True)
    assert tokenizer.decode(tokenizer("some words", add_special_tokens=False)["input_ids"]) == "some words"
