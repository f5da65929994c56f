"""Answers that need no generation: those known to the end, and those that cannot be right any more."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.metrics.match import exact_match
from tunesmith.tasks.language.answer_frame import Frame
from tunesmith.tasks.language.teacher_forced import (
    UNFINISHED,
    KnownAnswer,
    cannot_become,
    decodes_piecewise,
    known_answer,
    prediction_of,
)

PAIRS = [
    ("the moon?", "orange"),
    ("silly putty?", "  who   knows 🦁 "),
    ("one?", "löwe"),
    ("two?", "x y z"),
    ("sun?", "it is a star"),
    ("four words in it?", "no"),
    ("two", "né 🦁🦁"),
    ("the moon", "orange: yes"),
]
END = 9


@pytest.mark.parametrize(
    ("reference", "choices", "most", "told"),
    [
        ([5, 6, 9], [5, 6, 9], 8, KnownAnswer([5, 6], True, False)),  # every token, and the end
        ([5, 6, 7, 9], [5, 6, 7, 9], 2, KnownAnswer([5, 6], True, False)),  # as many as there may be
        ([5, 6], [5, 6], 8, KnownAnswer([5, 6], False, False)),  # the end is not shown
        ([5, 6, 9], [9, 6, 9], 8, KnownAnswer([], True, False)),  # ends at once
        ([5, 6, 9], [5, 9, 9], 8, KnownAnswer([5], True, False)),  # ends early
        ([5, 6, 9], [5, 7, 9], 8, KnownAnswer([5, 7], False, True)),  # leaves
        ([5, 6, 9], [5, 7, 9], 2, KnownAnswer([5, 7], True, True)),  # leaves with the last token there may be
        ([5, 6, 9], [5, 6, 4], 8, KnownAnswer([5, 6, 4], False, True)),  # goes on behind the end
        (
            [9, 5, 9],
            [9, 7, 9],
            8,
            KnownAnswer([], True, False),
        ),  # an empty answer, and what else the template has
        ([], [], 8, KnownAnswer([], False, False)),
    ],
)
def test_what_is_told(reference, choices, most, told):
    assert known_answer(reference, choices, [END], most) == told


@pytest.mark.parametrize(
    ("text", "reference", "cannot"),
    [
        ("oran", "orange", False),
        ("orange", "orange", False),  # an end may follow
        ("orange", "orange yes", False),
        ("orang u", "orange", True),
        ("Oran", "orange", True),  # case counts
        ("orange.", "orange", True),  # punctuation too
        ("o ra", "orange", False),  # decoding may take blanks away
        ("  who knows", "who\n\tknows it", False),
        ("", "orange", False),
        ("caf\ufffd", "café", False),  # half a character
        ("cag\ufffd", "café", True),
        ("c\ufffdf", "café", True),  # nothing can complete that
        ("x", "\ufffd\ufffd", False),  # as bytes that others make invalid
    ],
)
def test_what_cannot_become_the_reference(text, reference, cannot):
    assert cannot_become(text, reference) is cannot


def fallback_tokenizer():
    """As Llama's first: pieces with ``▁`` for a blank, bytes for what has no piece."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "▁", "▁or", "or", "ange", "é", "▁é", *(f"<0x{byte:02X}>" for byte in range(256))]
    made = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=[], byte_fallback=True))
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.fixture(scope="module")
def tokenizers(tokenizer):
    return {"byte level": tokenizer, "byte fallback": fallback_tokenizer()}


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(["byte level", "byte fallback"]))
def test_nothing_that_follows_makes_a_proven_miss_right(tokenizers, data, name):
    tokenizer = tokenizers[name]
    few = st.sampled_from(sorted(set(tokenizer.encode("é 🦁 orange  x\n", add_special_tokens=False))))
    token = few | st.integers(0, len(tokenizer) - 1)
    words = st.sampled_from(["é", "🦁", " ", "or", "ange", "x", "\n", "…", "\ufffd"])
    wanted = data.draw(st.lists(words, min_size=1, max_size=6).map("".join).filter(str.strip))
    answer, rest = tokenizer.encode(wanted, add_special_tokens=False), data.draw(st.lists(token, max_size=8))
    place, choice = data.draw(st.integers(0, len(answer) - 1)), data.draw(token)

    def text(tokens):
        return tokenizer.decode(tokens, skip_special_tokens=False).strip()

    reference, begun = wanted.strip(), [*answer[:place], choice]
    found = prediction_of(KnownAnswer(begun, False, True), reference, text, Frame(), only_equal=True)
    if found is not None:
        assert not exact_match(found, reference)
        for tail in (rest, [], answer[place + 1 :], answer[place:], [*answer[place + 1 :], *rest]):
            assert not exact_match(text([*begun, *tail]), reference)
    else:
        assert cannot_become(text(begun), reference) is False


def test_only_decoders_that_add_are_believed(tokenizers):
    from tokenizers import decoders

    assert all(map(decodes_piecewise, tokenizers.values()))
    other = fallback_tokenizer()
    for decoder in (decoders.WordPiece(), decoders.CTC(), decoders.Replace("do not", "don't")):
        other.backend_tokenizer.decoder = decoder
        assert not decodes_piecewise(other)
    assert not decodes_piecewise(object())


@pytest.fixture(scope="module")
def stages(models, task, conversation):
    """A model at several stages of learning its answers by heart."""
    model, made = deepcopy(models["llama"]).train(), task()
    batch = made.collate([made.encode(conversation(*pair)) for pair in PAIRS[:5]])
    optimizer, found = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for step in range(61):
        if step in (0, 8, 16, 24, 32, 60):
            found.append(deepcopy(model).eval())
        (made.loss(model, batch).total / batch.count).backward()
        optimizer.step()
        optimizer.zero_grad()
    return found


@pytest.mark.parametrize("loss_on", ["assistant", "last_assistant", "all"])
@pytest.mark.parametrize("max_new_tokens", [1, 3, 30])
@pytest.mark.parametrize("packed", [True, False])
def test_the_same_are_right_at_every_stage(stages, task, conversation, loss_on, max_new_tokens, packed):
    made = task(loss_on=loss_on, max_new_tokens=max_new_tokens, packed=packed)
    talks = [*PAIRS, ("the moon?", "purple", "the moon?", "orange")]
    rows = [replace(conversation(*talk), id=f"rows:{i}") for i, talk in enumerate(talks)]
    examples = [made.encode(row) for row in rows]
    ids, cut, right = {row.id for row in rows}, [], []
    for model in stages:
        whole = made.answers(model, [e["input_ids"][: e["prompt_length"]] for e in examples])
        scored = made.score(model, examples, predict=True, only_equal=ids - {"rows:1"})
        for one, answer in zip(scored, whole, strict=True):
            hit = exact_match(answer, one.reference)
            assert exact_match(one.prediction, one.reference) == hit
            if one.prediction != answer:
                beginning = one.prediction.removesuffix(UNFINISHED).rstrip("\ufffd")
                assert answer.startswith(beginning)
                assert one.prediction.endswith(UNFINISHED)
                assert one.id != "rows:1"
                cut.append(one.id)
            right.append(hit)
    assert sum(right) < len(right)
    if max_new_tokens == 30:
        assert cut
        assert sum(right) > len(stages)
    elif max_new_tokens == 1:
        assert not cut  # one token is the whole answer
