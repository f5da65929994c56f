"""An over-long row is an error, left out, or cut; what carries loss is never cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10).filter(str.strip)
talks = st.lists(words, min_size=2, max_size=6).filter(lambda turns: len(turns) % 2 == 0)
LOSSES = ["assistant", "last_assistant", "all"]


@settings(max_examples=150, deadline=None)
@given(
    talk=talks,
    limit=st.integers(1, 60),
    overflow=st.sampled_from(["error", "drop", "truncate"]),
    loss_on=st.sampled_from(LOSSES),
    template=st.booleans(),
)
def test_overflow_never_cuts_what_carries_loss(task, conversation, talk, limit, overflow, loss_on, template):
    row = conversation(*talk)
    whole = task(max_length=10_000, loss_on=loss_on, template=template).encode(row)
    cutting = task(max_length=limit, overflow=overflow, loss_on=loss_on, template=template)
    if whole["length"] > limit and overflow == "error":
        with pytest.raises(UserError, match=f"`rows:1` has {whole['length']} tokens") as caught:
            cutting.encode(row)
        assert "data.overflow" in caught.value.hint
        return
    found = cutting.encode(row)
    if whole["length"] <= limit:
        assert found == whole
        return
    excess = whole["length"] - limit
    fits = not any(whole["supervised"][: excess + 1])  # a token before the first supervised one predicts it
    if overflow == "drop" or not fits:
        assert isinstance(found, Skip)
        assert (found.id, found.reason) == ("rows:1", "too_long")
        return
    assert found["truncated"]
    assert found["length"] == len(found["input_ids"]) == limit
    assert found["input_ids"] == whole["input_ids"][excess:]
    assert found["supervised"] == whole["supervised"][excess:]
    assert sum(found["supervised"][1:]) == sum(whole["supervised"])
    assert found["input_ids"][found["prompt_length"] :] == whole["input_ids"][whole["prompt_length"] :]
    assert found["reference"] == whole["reference"]
    assert found["prompt_length"] >= 1


def test_truncation_keeps_the_beginning_of_text_token(task, conversation):
    from dataclasses import replace

    from tunesmith.model.processors import train_tokenizer

    tokenizer = train_tokenizer(["a b c"], 300, encoder=False)
    tokenizer.bos_token = "<|system|>"
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    cutting = replace(task(max_length=12, overflow="truncate"), tokenizer=tokenizer)
    found = cutting.encode(conversation("a very long question, longer than that", "yes"))
    assert found["length"] == 12
    assert found["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.decode(found["input_ids"][found["prompt_length"] :]) == "yes<|end|>\n"
    assert not any(found["supervised"][: found["prompt_length"]])


@pytest.mark.parametrize("overflow", ["drop", "truncate"])
def test_plain_text_is_left_out_rather_than_cut(task, overflow):
    skip = task(max_length=4, overflow=overflow).encode(
        Row("rows:2", {"text": "the moon turns orange, löwe"})
    )
    assert isinstance(skip, Skip)
    assert skip.reason == "too_long"
