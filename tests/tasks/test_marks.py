"""Marks of tokens, checked against bytes counted by hand: a token carries loss if its first byte does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

from tunesmith.data.row import Row, Skip
from tunesmith.model.processors import train_tokenizer
from tunesmith.tasks.language.causal_lm import CausalLM

FOLDED = (
    "{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
)
# template, its pieces for a system message, a user's turn and an answer (before, after), what is trimmed,
# the tokenizer's end token; every answer's `after` carries loss up to its white space
FAMILIES = {
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ("", "<|im_start|>{role}\n", "<|im_end|>\n", False, False),
        "<|endoftext|>",
    ),
    "headers": (
        "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
        "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        ("<s>", "<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>", True, False),
        "<|eot_id|>",
    ),
    "turns": (
        FOLDED + "{{ bos_token }}{% for m in turns %}<start_of_turn>"
        "{{ 'model' if m['role'] == 'assistant' else 'user' }}\n"
        "{{ (first if loop.first else '') + m['content'] | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
        ("<s>", "<start_of_turn>{role}\n", "<end_of_turn>\n", True, True),
        "</s>",
    ),
    "inst": (
        FOLDED + "{{ bos_token }}{% for m in turns %}{% if m['role'] == 'user' %}"
        "[INST] {{ (first if loop.first else '') + m['content'] }} [/INST]"
        "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}",
        ("<s>", None, None, False, True),
        "</s>",
    ),
}
SPECIAL = (
    *("<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("<start_of_turn>", "<end_of_turn>", "<s>", "</s>", "<|endoftext|>"),
)
KEPT = [*range(33, 127), *range(161, 173), *range(174, 256)]
REST = [code for code in range(256) if code not in KEPT]
# which byte each character of a byte-level token stands for
BYTES = {chr(code): code for code in KEPT} | {chr(256 + index): code for index, code in enumerate(REST)}


def build(template, eos):
    tokenizer = train_tokenizer(["the moon turns orange", "  return x", "löwe 🦁"], 300, encoder=False)
    tokenizer.add_tokens(list(SPECIAL), special_tokens=True)
    tokenizer.eos_token, tokenizer.bos_token, tokenizer.chat_template = eos, "<s>", template
    return tokenizer


TOKENIZERS = {name: build(template, eos) for name, (template, _, eos) in FAMILIES.items()}


def pieces_of(name, messages):
    """The rendering by hand: texts, and whether each carries loss."""
    opening, before, after, trims, folds = FAMILIES[name][1]
    pieces, first = [(opening, False)], ""
    for message in messages:
        role, content = message["role"], message["content"]
        if folds and role == "system":
            first = content + "\n\n"
            continue
        content, first = first + (content.strip() if trims else content), ""
        if before is None:
            pieces += [(f"[INST] {content} [/INST]", False) if role == "user" else (f" {content}</s>", True)]
            continue
        shown = "model" if folds and role == "assistant" else role
        pieces += [(before.format(role=shown), False), (content + after.rstrip(), role == "assistant")]
        pieces += [(after[len(after.rstrip()) :], False)]
    return pieces


def marks_by_hand(tokenizer, ids, pieces):
    text = "".join(text for text, _ in pieces).encode()
    marks = [int(said) for piece, said in pieces for _ in piece.encode()]
    special, begin, expected = set(tokenizer.get_added_vocab()), 0, []
    for token in tokenizer.convert_ids_to_tokens(ids):
        raw = token.encode() if token in special else bytes(BYTES[character] for character in token)
        assert text[begin : begin + len(raw)] == raw
        expected.append(marks[begin])
        begin += len(raw)
    assert begin == len(text)
    return expected


def check(name, messages, loss_on):
    tokenizer, pieces = TOKENIZERS[name], pieces_of(name, messages)
    if loss_on == "last_assistant":
        last = max(index for index, (_, said) in enumerate(pieces) if said)
        pieces = [(text, index == last) for index, (text, _) in enumerate(pieces)]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "".join(text for text, _ in pieces)
    example = CausalLM(tokenizer, 10_000, loss_on=loss_on).encode(Row("r", {"messages": messages}))
    expected = marks_by_hand(tokenizer, example["input_ids"], pieces)
    assert example["supervised"] == expected
    # the newline after the end of the turn is not learned, the end itself is
    end = max(index for index, mark in enumerate(expected) if mark)
    assert tokenizer.convert_ids_to_tokens(example["input_ids"][end]) in SPECIAL
    assert tokenizer.decode(example["input_ids"][end + 1 :]).strip() == ""


def said(*turns):
    return [{"role": role, "content": content} for role, content in turns]


contents = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
talks = st.tuples(st.none() | contents, st.lists(st.tuples(contents, contents), min_size=1, max_size=3))


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(talk=talks, loss_on=st.sampled_from(["assistant", "last_assistant"]))
def test_loss_follows_any_conversation(name, talk, loss_on):
    system, turns = talk
    pairs = [pair for user, answer in turns for pair in (("user", user), ("assistant", answer))]
    check(name, said(*([("system", system)] if system else []), *pairs), loss_on)


def test_indentation_carries_loss_where_the_tokenizer_leaves_it_out_of_its_offsets():
    tokenizer = train_tokenizer(["def f(x):\n    return x"], 300, encoder=False)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    messages = said(("user", "  write   f"), ("assistant", "def f(x):\n    return   x"))
    example = CausalLM(tokenizer, 200).encode(Row("r", {"messages": messages}))
    pieces = [
        ("<|user|>  write   f<|end|>\n<|assistant|>", False),
        (messages[1]["content"] + "<|end|>", True),
    ]
    assert example["supervised"] == marks_by_hand(tokenizer, example["input_ids"], [*pieces, ("\n", False)])


@pytest.mark.parametrize("overflow", ["error", "truncate", "drop"])
def test_a_long_row_without_an_answer_is_one_without_loss(overflow):
    row = Row("rows:7", {"messages": said(("user", "a question that nobody answers"))})
    skip = CausalLM(TOKENIZERS["chatml"], 2, overflow=overflow).encode(row)
    assert isinstance(skip, Skip)
    assert (skip.id, skip.reason) == ("rows:7", "no_loss")
