"""Rows without a chat template: contents joined as they are, and plain text."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.row import Row, Skip
from tunesmith.model.end_tokens import end_tokens_of
from tunesmith.tasks.language import chat
from tunesmith.tasks.language.causal_lm import CausalLM


def conversation(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]


def plain(tokenizer, **options) -> CausalLM:
    return CausalLM(tokenizer, max_length=1000, template=False, **options)


@pytest.mark.parametrize("prompt", ["Is it? ", "Is it?\n", "Is it?", "Is it?  \n ", "Is it: "])
def test_the_answer_and_nothing_else_carries_loss(tokenizer, prompt: str) -> None:
    """Also where the tokenizer would merge the prompt's last blank with the answer's first letters."""
    example = plain(tokenizer).encode(Row("a", {"messages": conversation(prompt, "yes it is")}))
    cut = example["prompt_length"]
    assert example["input_ids"][:cut] == tokenizer(prompt)["input_ids"]
    assert tokenizer.decode(example["input_ids"][cut:]) == "yes it is<|end|>"
    assert example["supervised"] == [0] * cut + [1] * (example["length"] - cut)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(st.text("ab c\n🦁é:", min_size=1, max_size=8).filter(str.strip), min_size=2, max_size=6)
)
def test_any_conversation(tokenizer, contents: list[str]) -> None:
    messages = conversation(*contents)
    answers = [m["content"] + "<|end|>" for m in messages if m["role"] == "assistant"]
    example = plain(tokenizer).encode(Row("a", {"messages": messages}))
    told = [token for token, mark in zip(example["input_ids"], example["supervised"], strict=True) if mark]
    assert tokenizer.decode(told) == "".join(answers)
    whole = [m["content"] + "<|end|>" * (m["role"] == "assistant") for m in messages]
    assert tokenizer.decode(example["input_ids"]) == "".join(whole)


def test_text_opens_as_the_tokenizer_opens_it(make) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make.tokenizer()
    tokenizer.bos_token = "<s>"
    pair = [("<s>", tokenizer.bos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=pair)
    messages = conversation("Is it? ", "yes")
    example = plain(tokenizer).encode(Row("a", {"messages": messages}))
    assert example["input_ids"][0] == tokenizer.bos_token_id
    assert example["input_ids"][: example["prompt_length"]] == tokenizer("Is it? ")["input_ids"]
    asked, _ = chat.plain_spans(tokenizer, messages[:1])
    assert asked == "<s>Is it? "
    text = plain(tokenizer).encode(Row("a", {"text": "the moon"}))
    assert text["input_ids"] == [*tokenizer("the moon")["input_ids"], tokenizer.eos_token_id]


def test_plain_text_carries_loss_everywhere(tokenizer) -> None:
    example = plain(tokenizer).encode(Row("a", {"text": "the moon"}))
    assert tokenizer.decode(example["input_ids"]) == "the moon<|end|>"
    assert example["supervised"] == [0] + [1] * (example["length"] - 1)
    assert isinstance(plain(tokenizer).encode(Row("a", {"text": ""})), Skip)


def test_a_tokenizer_without_an_end_token(make) -> None:
    tokenizer = make.tokenizer()
    tokenizer.eos_token = None
    example = plain(tokenizer).encode(Row("a", {"messages": conversation("Is it?", "yes")}))
    assert tokenizer.decode(example["input_ids"]) == "Is it?yes"
    assert plain(tokenizer, packed=False).collate([example])["labels"].tolist()


def test_ends_of_an_answer(make) -> None:
    """The tokenizer's, the model's, and the mark of the template, if it is one token."""
    tokenizer = make.tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    assert end_tokens_of(tokenizer) == (ids("<|end|>"),)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '<|im_end|>\n' }}{% endfor %}"
    assert set(end_tokens_of(tokenizer)) == {ids("<|end|>"), ids("<|im_end|>")}
    configured = type("Settings", (), {"eos_token_id": [7, 9]})
    assert set(end_tokens_of(tokenizer, configured)) == {7, 9, ids("<|end|>"), ids("<|im_end|>")}
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + ' STOP\n' }}{% endfor %}"
    assert end_tokens_of(tokenizer) == (ids("<|end|>"),)
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    assert end_tokens_of(tokenizer) == (ids("<|end|>"),)
