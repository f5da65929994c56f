"""Templates and conversations from a seed: what is learnt is what the row says, or the row is told of."""

import random

import pytest
from templates import a_conversation, a_template, tokenizer

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.tasks.language.rendering import render_template


def marked_runs(example) -> list[list[int]]:
    runs, before = [], 0
    for token, mark in zip(example["input_ids"], example["supervised"], strict=True):
        if mark and not before:
            runs.append([])
        if mark:
            runs[-1].append(token)
        before = mark
    return runs


def speaks(message) -> bool:
    return any(message.get(name) for name in ("content", "tool_calls", "reasoning_content"))


def check(seed: int) -> str:
    """How the row of a seed ended: ``refused``, ``skipped`` or ``learnt``; asserts that each is right."""
    draw = random.Random(seed)
    template, eos = a_template(draw)
    messages, given = a_conversation(draw)
    last_only = draw.random() < 0.3
    tok = tokenizer(template, eos=eos, bos=draw.choice([None, "<bos>"]))
    task = CausalLM(tok, max_length=10_000, loss_on="last_assistant" if last_only else "assistant")
    try:
        example = task.encode(Row("rows.jsonl:1", {"messages": messages, **given}))
    except UserError:
        return "refused"
    if isinstance(example, Skip):
        assert example.detail, seed
        return "skipped"
    ids, whole = example["input_ids"], render_template(tok, messages, given=given)
    written = tok.decode(ids)
    assert written in (whole, whole + eos), (seed, written, whole)
    prompt = tok.decode(ids[: example["prompt_length"]])
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    last = max(number for number in answers if speaks(messages[number]))
    asked = render_template(tok, messages[:last], ask=True, given=given)
    assert prompt == asked, (seed, prompt, asked)
    learnt_text = "".join(tok.decode(run) for run in marked_runs(example))
    for number, message in enumerate(messages):
        name, blank = f"q{number}w", not message["content"]
        learnt = message["role"] == "assistant" and not (last_only and number != len(messages) - 1)
        assert blank or (name in learnt_text) == learnt, (seed, name, learnt_text)
    if "tool_calls" in messages[-1]:
        assert "look_up" in learnt_text, (seed, learnt_text)
    if "reasoning_content" in messages[-1]:
        assert "r7r" in learnt_text, (seed, learnt_text)
    return "learnt"


def test_a_row_is_learnt_as_it_is_written_or_told_of() -> None:
    ends = [check(seed) for seed in range(250)]
    assert {end: ends.count(end) > 5 for end in ("refused", "skipped", "learnt")} == {
        "refused": True,
        "skipped": True,
        "learnt": True,
    }


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thousands_of_rows() -> None:
    for seed in range(1_000, 11_000):
        check(seed)
