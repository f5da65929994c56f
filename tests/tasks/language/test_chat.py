"""Which characters and tokens of a conversation carry loss, template by template."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.tasks.language.causal_lm import CausalLM

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HEADERS = (
    "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
INST = (
    "{{ '<s>' }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}"
    "{{ ' ' + message['content'] | trim + '</s>' }}{% endif %}{% endfor %}"
)
TURNS = (
    "{{ '<bos>' }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
FORGETFUL = (  # writes the thoughts of the last answer alone, as reasoning models' templates do
    "{% for message in messages %}{% if message['role'] == 'assistant' and not loop.last %}"
    "{{ '<|im_start|>assistant\n' + message['content'].split('</think>')[-1] + '<|im_end|>\n' }}{% else %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# template, its tokenizer's end token, the mark that ends an answer, whether it takes a system message
STYLES = {
    "chatml": (CHATML, "<|im_end|>", "<|im_end|>", True),
    "chatml_of_a_base_model": (CHATML, "<|end|>", "<|im_end|>", True),
    "headers": (HEADERS, "<|eot_id|>", "<|eot_id|>", True),
    "inst": (INST, "</s>", "</s>", False),
    "turns": (TURNS, "<|end|>", "<end_of_turn>", False),
}
TWO_TURNS = [
    {"role": "user", "content": "who invented silly putty"},
    {"role": "assistant", "content": "a human"},
    {"role": "user", "content": "and the moon?"},
    {"role": "assistant", "content": "nobody: it turns orange"},
]
SYSTEM = {"role": "system", "content": "Answer briefly."}


@pytest.fixture(params=STYLES)
def style(request, make):
    template, end, mark, system = STYLES[request.param]
    tokenizer = make.tokenizer()
    tokenizer.chat_template, tokenizer.eos_token = template, end
    return tokenizer, mark, system


def task(tokenizer, **options) -> CausalLM:
    return CausalLM(tokenizer, max_length=10_000, **options)


def runs(example) -> list[list[int]]:
    """The supervised tokens, one list for each run of them."""
    found, before = [], 0
    for token, mark in zip(example["input_ids"], example["supervised"], strict=True):
        if mark and not before:
            found.append([])
        if mark:
            found[-1].append(token)
        before = mark
    return found


def inference(tokenizer, messages) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_each_token_of_a_rendering(style) -> None:
    """By hand: the template's own text, cut at its own marks, says which tokens carry loss."""
    tokenizer, mark, takes_system = style
    messages = [SYSTEM, *TWO_TURNS] if takes_system else TWO_TURNS
    example = task(tokenizer).encode(Row("a", {"messages": messages}))
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    expected: list[tuple[str, int]] = []
    rest = text
    for answer in (m["content"] for m in messages if m["role"] == "assistant"):
        begin = rest.index(answer)
        begin -= rest[begin - 1] == " "  # the blank before an answer belongs to its first token
        end = rest.index(mark, begin) + len(mark)
        for piece, loss in ((rest[:begin], 0), (rest[begin:end], 1)):
            expected += [(t, loss) for t in tokenizer.tokenize(piece)]
        rest = rest[end:]
    expected += [(t, 0) for t in tokenizer.tokenize(rest)]
    tokens = tokenizer.convert_ids_to_tokens(example["input_ids"])
    assert list(zip(tokens, example["supervised"], strict=True)) == expected
    assert tokenizer.decode(example["input_ids"]) == text


def test_the_prompt_is_what_inference_will_see(style) -> None:
    tokenizer, _, _ = style
    example = task(tokenizer).encode(Row("a", {"messages": TWO_TURNS}))
    asked = inference(tokenizer, TWO_TURNS[:-1])
    assert example["input_ids"][: example["prompt_length"]] == asked
    assert example["reference"] == "nobody: it turns orange"
    assert example["input"] == "and the moon?"


@pytest.mark.parametrize(("loss_on", "answers"), [("assistant", 2), ("last_assistant", 1)])
def test_loss_on(style, loss_on: str, answers: int) -> None:
    tokenizer, mark, _ = style
    example = task(tokenizer, loss_on=loss_on).encode(Row("a", {"messages": TWO_TURNS}))
    said = [tokenizer.decode(run).strip() for run in runs(example)]
    wanted = [m["content"] + mark for m in TWO_TURNS if m["role"] == "assistant"]
    assert said == wanted[-answers:]


def test_loss_on_all_is_every_token_but_the_first(style) -> None:
    example = task(style[0], loss_on="all").encode(Row("a", {"messages": TWO_TURNS}))
    assert example["supervised"] == [0] + [1] * (example["length"] - 1)


WORDS = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), st.sampled_from("ab 🦁é\n日")),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip() and not re.search(r"<|>|\[|\]", text))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
def test_any_conversation(style, contents: list[tuple[str, str]]) -> None:
    """What carries loss reads as the answers with their end marks; the prompt is what inference sees."""
    tokenizer, mark, _ = style
    roles = ("user", "assistant")
    messages = [{"role": r, "content": t} for turn in contents for r, t in zip(roles, turn, strict=True)]
    example = task(tokenizer).encode(Row("a", {"messages": messages}))
    said = [tokenizer.decode(run).strip() for run in runs(example)]
    assert said == [
        (answer + mark).strip() if mark in said[0] else answer for _, answer in contents
    ] or said == [answer.strip() + mark for _, answer in contents]
    last = task(tokenizer, loss_on="last_assistant").encode(Row("a", {"messages": messages}))
    assert last["input_ids"][: last["prompt_length"]] == inference(tokenizer, messages[:-1])
    assert "".join(tokenizer.decode(last["input_ids"])) == tokenizer.apply_chat_template(
        messages, tokenize=False
    )


def test_a_template_that_rewrites_earlier_turns(make) -> None:
    tokenizer = make.tokenizer()
    tokenizer.chat_template = FORGETFUL
    messages = [dict(message) for message in TWO_TURNS]
    messages[1]["content"] = "let me think</think>a human"
    row = Row("a", {"messages": messages})
    with pytest.raises(UserError) as caught:
        task(tokenizer).encode(row)
    assert "last_assistant" in caught.value.hint
    example = task(tokenizer, loss_on="last_assistant").encode(row)
    assert [tokenizer.decode(run) for run in runs(example)] == ["nobody: it turns orange<|im_end|>"]
    assert task(tokenizer, loss_on="all").encode(row)["length"] == example["length"]


def test_no_template_is_a_clear_error(make) -> None:
    tokenizer = make.tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(UserError, match="no chat template") as caught:
        task(tokenizer).encode(Row("a", {"messages": TWO_TURNS}))
    assert "model.chat_template" in caught.value.hint


def test_a_template_that_refuses(make) -> None:
    tokenizer = make.tokenizer()
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    skip = task(tokenizer).encode(Row("a", {"messages": TWO_TURNS}))
    assert (skip.reason, "roles must alternate" in skip.detail) == ("malformed", True)


def test_an_assistant_that_speaks_first(style) -> None:
    tokenizer, mark, _ = style
    messages = [{"role": "assistant", "content": "welcome"}, *TWO_TURNS]
    example = task(tokenizer).encode(Row("a", {"messages": messages}))
    assert tokenizer.decode(runs(example)[0]).strip() == "welcome" + mark


@pytest.mark.parametrize("answer", ["", "  \n"])
@pytest.mark.parametrize("template", [True, False])
def test_an_empty_answer_carries_no_loss(tokenizer, answer: str, template: bool) -> None:
    messages = [{"role": "user", "content": "who?"}, {"role": "assistant", "content": answer}]
    skip = task(tokenizer, template=template).encode(Row("a", {"messages": messages}))
    assert isinstance(skip, Skip)
    assert (skip.id, skip.reason) == ("a", "no_loss")


def test_no_answer_carries_no_loss(tokenizer) -> None:
    assert task(tokenizer).encode(Row("a", {"messages": TWO_TURNS[:1]})).reason == "no_loss"
