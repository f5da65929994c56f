"""Chat templates in common use, and odd ones: what is learnt of a row is what the row says, or it is told."""

import pytest
from templates import tokenizer

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.tasks.language.notes import encoding_notes

TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
CHATML = TURN + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TOOLS = "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
LAST = (
    "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
)
QWEN3 = (
    TOOLS
    + LAST
    + "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% set c = m.content %}"
    "{% set r = m.reasoning_content or '' %}{% if '</think>' in c %}"
    "{% set r = c.split('</think>')[0].split('<think>')[-1].strip() %}"
    "{% set c = c.split('</think>')[-1].lstrip() %}{% endif %}{% if loop.index0 > ns.last %}"
    "<think>\n{{ r }}\n</think>\n\n{{ c }}{% else %}{{ c }}{% endif %}"
    "{% for call in m.tool_calls %}\n<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PHI3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content + eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
DEEPSEEK = (
    "<|endoftext|>{% for m in messages %}{% if m.role == 'user' %}<|User|>{{ m.content }}{% else %}"
    "<|Assistant|>{{ m.content.split('</think>')[-1] }}<|eos|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|>{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
HARMONY = (  # another mark behind the last turn than behind the others
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}"
    "{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|message|>{% endif %}"
)
ALPACA = (
    "{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n{% else %}"
    "### Response:\n{{ m.content }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}### Response:\n{% endif %}"
)


def turns(*contents, **last):
    roles = ("user", "assistant")
    made = [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]
    made[-1] |= last
    return made


def encode(tok, messages, loss_on="assistant", template=True, **fields):
    task = CausalLM(tok, max_length=10_000, loss_on=loss_on, template=template)
    return task.encode(Row("rows.jsonl:7", {"messages": messages, **fields}))


def learnt(tok, example):
    """The runs of tokens that carry loss, as text."""
    found, before = [], 0
    for token, mark in zip(example["input_ids"], example["supervised"], strict=True):
        if mark:
            found.append([]) if not before else None
            found[-1].append(token)
        before = mark
    return [tok.decode(run) for run in found]


@pytest.mark.parametrize(
    ("template", "names", "wanted"),
    [
        (CHATML, {}, ["one<|im_end|>", "two<|im_end|>"]),
        (PHI3, {"eos": "<|endoftext|>"}, ["one<|end|>", "two<|end|>\n<|endoftext|>"]),
        (ZEPHYR, {"eos": "</s>"}, ["one</s>", "two</s>"]),
        (DEEPSEEK, {"eos": "<|eos|>"}, ["one<|eos|>", "two<|eos|>"]),
        (GEMMA, {"eos": "<|eos|>", "bos": "<bos>"}, ["one<end_of_turn>", "two<end_of_turn>"]),
        (LLAMA2, {"eos": "</s>", "bos": "<s>"}, [" one </s>", " two </s>"]),
        (LLAMA3, {"eos": "<|endoftext|>", "bos": "<s>"}, ["one<|eot_id|>", "two<|eot_id|>"]),
        (HARMONY, {"eos": "<|return|>"}, ["one<|end|>", "two<|return|>"]),
    ],
)
def test_several_turns_of_usual_templates(template, names, wanted) -> None:
    tok = tokenizer(template, **names)
    example = encode(tok, turns("q", "one", "more", "two"))
    assert learnt(tok, example) == wanted
    assert example["reference"] == "two"
    assert (example["opening"], example["closing"]) == ("", "")
    assert example["end"] == ("open" if template == HARMONY else "learnt")


def test_only_one_beginning_of_text() -> None:
    tok = tokenizer(LLAMA3, bos="<s>", eos="</s>")
    from tokenizers import processors

    ids = [("<s>", tok.convert_tokens_to_ids("<s>"))]
    tok.backend_tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=ids)
    assert tok.decode(encode(tok, turns("q", "one"))["input_ids"]).count("<s>") == 1
    for first in ("q", "<s>q"):
        joined = encode(tok, turns(first, "one</s>"), template=False)
        assert tok.decode(joined["input_ids"]) == "<s>qone</s>"
    for text in ("plain", "<s>plain</s>"):
        task = CausalLM(tok, max_length=100)
        assert tok.decode(task.encode(Row("a", {"text": text}))["input_ids"]) == "<s>plain</s>"


def test_thoughts_are_learnt_and_compared_without() -> None:
    tok = tokenizer(QWEN3)
    for name in ("reasoning_content", "reasoning", "thinking"):
        example = encode(tok, turns("add", "sum", **{name: "because"}))
        assert learnt(tok, example) == ["<think>\nbecause\n</think>\n\nsum<|im_end|>"]
        assert (example["reference"], example["opening"]) == ("sum", "<think>\nbecause\n</think>")
    inside = encode(tok, turns("add", "<think>because</think>sum"))
    assert learnt(tok, inside) == ["<think>\nbecause\n</think>\n\nsum<|im_end|>"]


def test_only_the_last_turn_keeps_its_thoughts() -> None:
    tok = tokenizer(QWEN3)
    messages = turns("q", "one", "more", "two")
    messages[1]["reasoning_content"] = "hm"
    with pytest.raises(UserError, match=r"rows\.jsonl:7.*rewrites earlier turns") as caught:
        encode(tok, messages)
    assert "last_assistant" in caught.value.hint
    example = encode(tok, messages, loss_on="last_assistant")
    assert learnt(tok, example) == ["<think>\n\n</think>\n\ntwo<|im_end|>"]


@pytest.mark.parametrize(
    ("template", "messages", "said"),
    [
        (CHATML, turns("q", "one", reasoning_content="because"), "`reasoning_content`"),
        (CHATML, turns("q", "", tool_calls=[{"function": {"name": "f", "arguments": {}}}]), "`tool_calls`"),
        (DEEPSEEK, turns("q", "<think>because</think>sum"), "leaves out a part of an answer"),
        (GEMMA, [{"role": "system", "content": "s"}, *turns("q", "one")], "refuses the conversation: no sys"),
        (LLAMA2, [{"role": "system", "content": "s"}, *turns("q", "one")], r"message 1 \(system\)"),
    ],
)
def test_what_a_template_does_not_write_is_told(template, messages, said) -> None:
    skip = encode(tokenizer(template), messages)
    assert isinstance(skip, Skip)
    assert (skip.id, skip.reason) == ("rows.jsonl:7", "malformed")
    with pytest.raises(UserError, match=said):
        raise UserError(skip.detail)


def test_functions_and_documents() -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    tok = tokenizer(QWEN3)
    assert "weather" in tok.decode(encode(tok, turns("q", "one"), tools=tools)["input_ids"])
    for fields in ({"tools": tools}, {"documents": [{"title": "t", "text": "long"}]}):
        skip = encode(tokenizer(CHATML), turns("q", "one"), **fields)
        assert f"does not write `{next(iter(fields))}`" in skip.detail
        assert encode(tok, turns("q", "one"), template=False, **fields).reason == "malformed"


@pytest.mark.parametrize("arguments", [{"city": 'the "Hague"', "days": 3}, {}])
def test_calls_of_functions(arguments) -> None:
    tok = tokenizer(QWEN3)
    call = {"type": "function", "function": {"name": "weather", "arguments": arguments}}
    messages = [
        *turns("q", "", tool_calls=[call]),
        {"role": "tool", "content": "rain"},
        *turns("x", "wet")[1:],
    ]
    first, last = learnt(tok, encode(tok, messages))
    assert "<tool_call>" in first
    assert '"weather"' in first
    assert last == "<think>\n\n</think>\n\nwet<|im_end|>"
    alone = encode(tok, messages[:2])
    assert alone["reference"] == first.removesuffix("<|im_end|>")
    text = QWEN3.replace(
        "{{ call.function | tojson }}", "{{ '' + call.function.arguments + call.function.name }}"
    )
    assert "weather" in learnt(tokenizer(text), encode(tokenizer(text), messages[:2]))[0]


def test_answers_opened_otherwise_than_written() -> None:
    template = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n")
    for loss_on in ("assistant", "last_assistant"):
        with pytest.raises(UserError, match="opens an answer with '<think>") as caught:
            encode(tokenizer(template), turns("q", "one"), loss_on=loss_on)
        assert "loss_on" not in caught.value.hint


def test_advice_that_would_not_help_is_not_given() -> None:
    rewrites = (
        "{% for m in messages %}{{ loop.length }}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    for loss_on in ("assistant", "last_assistant"):
        with pytest.raises(UserError) as caught:
            encode(tokenizer(rewrites), turns("q", "one", "more", "two"), loss_on=loss_on)
        assert "loss_on" not in caught.value.hint


@pytest.mark.parametrize(
    ("template", "names", "answer", "closing"),
    [
        (ALPACA, {"eos": "</s>"}, "one\n\n</s>", ""),
        (CHATML, {"eos": "</s>", "marks": ("</s>", "<|endoftext|>")}, "one<|im_end|>\n</s>", "<|im_end|>"),
    ],
)
def test_an_end_that_the_template_does_not_write_is_added(template, names, answer, closing) -> None:
    tok = tokenizer(template, **names)
    example = encode(tok, turns("q", "one"))
    assert learnt(tok, example) == [answer]
    assert (example["end"], example["reference"], example["closing"]) == ("added", "one", closing)
    [note] = encoding_notes(tok, [Row("a", {"messages": turns("q", "one")})], [example])
    assert "`</s>` is put behind the answers of 1 rows" in note
    several = encode(tok, turns("q", "one", "more", "two"))
    assert several["end"] == "open"
    assert "model.chat_template" in encoding_notes(tok, [], [several])[0]


def test_no_end_at_all_is_told() -> None:
    tok = tokenizer(ALPACA, eos=None)
    for example in (encode(tok, turns("q", "one")), encode(tok, turns("q", "one"), template=False)):
        assert example["end"] == "open"
        assert "no end-of-text token" in encoding_notes(tok, [], [example])[0]


def test_an_end_inside_of_an_answer_is_told() -> None:
    tok = tokenizer(CHATML)
    example = encode(tok, turns("q", "one<|im_end|>two"))
    assert (example["end"], example["reference"]) == ("inside", "one")
    assert "before their own end" in encoding_notes(tok, [], [example])[0]


def test_weights_of_messages() -> None:
    tok = tokenizer(CHATML)
    messages = turns("q", "one", "more", "two")
    messages[1]["weight"] = 0
    assert learnt(tok, encode(tok, messages)) == ["two<|im_end|>"]
    assert "no loss" in encode(tok, messages, loss_on="all").detail
    messages[3]["weight"] = 0
    assert encode(tok, messages).reason == "no_loss"


def test_fields_of_messages_without_a_word_in_the_template_are_told() -> None:
    tok = tokenizer(CHATML)
    rows = [Row("a", {"messages": turns("q", "one", mood="good", weight=1)})]
    assert encoding_notes(tok, rows, []) == ["note: nothing is taken from `mood` of the messages"]
