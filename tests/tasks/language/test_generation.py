"""Greedy answers equal those of transformers' own generation, token for token."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.tasks.language.generation import generate

OPENING = list(range(20, 30))
# what each prompt's answer is by the library's own loop, one prompt at a time: nothing is padded there
ENDS = {"none": (), "one": (17,), "several": tuple(range(0, 320, 4))}


def reference(model, prompt, ends, most):
    row = model.generate(
        input_ids=torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=most,
        eos_token_id=list(ends) or None,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    return next((row[:i] for i, token in enumerate(row) if token in ends), row)


def assert_equal(model, prompts, ends, most, batch_size):
    found = generate(model, prompts, end_tokens=ends, pad_token=0, max_new_tokens=most, batch_size=batch_size)
    assert found == [reference(model, prompt, ends, most) for prompt in prompts]
    return found


PROMPTS = {
    "uneven": [[5], [7, 8, 9], list(range(40, 60)), [11, 12], [300, 200, 100, 5, 5, 5]],
    "shared opening": [OPENING + tail for tail in ([5], [7, 8, 9], [1], [250, 251, 252, 253, 254])],
    "one is another's opening": [OPENING, [*OPENING, 4, 4], [*OPENING, 9]],
    "equal": [[*OPENING, 5]] * 3,
    "alone": [[33, 44, 55]],
}


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("batch_size", [2, 32])
def test_answers_equal_the_librarys_own(models, name, prompts, ends, batch_size):
    assert_equal(models[name], prompts, ends, 10, batch_size)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_at_most_so_many_new_tokens(models, name):
    found = assert_equal(models[name], PROMPTS["uneven"], (), 1, 32)
    assert [len(row) for row in found] == [1] * len(found)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_answer_may_end_at_once(models, name):
    prompts = PROMPTS["uneven"]
    ends = tuple({row[0] for row in assert_equal(models[name], prompts, (), 1, 32)})
    assert assert_equal(models[name], prompts, ends, 8, 32) == [[]] * len(prompts)
    # one of them ends at once, the others go on beside it
    some = assert_equal(models[name], prompts, ends[:1], 8, 32)
    assert [] in some


def test_no_prompts_no_answers(models):
    assert generate(models["llama"], [], end_tokens=(1,), pad_token=0, max_new_tokens=4, batch_size=8) == []


@settings(max_examples=15, deadline=None)
@given(
    prompts=st.lists(st.lists(st.integers(3, 319), min_size=1, max_size=9), min_size=1, max_size=4),
    opening=st.sampled_from([[], OPENING]),
    ends=st.sets(st.integers(0, 319), max_size=40),
    pad=st.integers(0, 319),
)
def test_any_prompts(models, prompts, opening, ends, pad):
    prompts = [opening + prompt for prompt in prompts]
    found = generate(
        models["llama"], prompts, end_tokens=tuple(ends), pad_token=pad, max_new_tokens=6, batch_size=3
    )
    assert found == [reference(models["llama"], prompt, ends, 6) for prompt in prompts]
