"""What is hidden, and its loss, against transformers' own."""

import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe
from tunesmith.tasks.task import TaskInputs
from tunesmith.tasks.text.encoder_inputs import NOT_LEARNT, mask_tokens
from tunesmith.tasks.text.masked_lm import MaskedLM
from tunesmith.train.inference.roll_out import row_random

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke" / "masked-lm.yaml"
TEXT = "What kind of question is this? who invented silly putty, and why does the moon turn orange"


@pytest.fixture(scope="module")
def tokenizer():
    from tunesmith.model.processors import MASK, train_tokenizer

    made = train_tokenizer([TEXT], 300, encoder=True)
    made.add_special_tokens({"mask_token": MASK})
    return made


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(7)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return BertForMaskedLM(BertConfig(vocab_size=310, initializer_range=0.4, **sizes)).eval()


class Vocabulary:
    mask_token_id = 1000

    def __len__(self):
        return 1000


def hide(words, seed, share, whole):
    ids = list(range(10, 10 + len(words)))
    draw = np.random.default_rng(seed)
    seen, labels = mask_tokens(ids, words, draw, share=share, whole_words=whole, tokenizer=Vocabulary())
    return ids, seen, labels


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=20),
    st.integers(0, 99),
    st.floats(0.01, 0.99),
    st.booleans(),
)
def test_a_share_is_hidden_and_nothing_else_changes(sizes, seed, share, whole):
    words = [NOT_LEARNT, *(word for word, size in enumerate(sizes) for _ in range(size)), NOT_LEARNT]
    ids, seen, labels = hide(words, seed, share, whole)
    hidden = [place for place, label in enumerate(labels) if label != NOT_LEARNT]
    assert [labels[place] for place in hidden] == [ids[place] for place in hidden]
    assert all(seen[place] == ids[place] for place in range(len(ids)) if place not in hidden)
    assert all(words[place] != NOT_LEARNT for place in hidden)
    wanted = max(1, round(share * sum(sizes)))
    assert wanted <= len(hidden) < wanted + (max(sizes) if whole else 1)
    if whole:
        inside = Counter(words[place] for place in hidden)
        assert all(inside[word] == sizes[word] for word in inside)


def test_eight_of_ten_are_masked_one_is_any_and_one_stays():
    ids, seen, labels = hide(list(range(20_000)), 0, 0.5, True)
    fates = Counter(
        "mask" if now == 1000 else "same" if now == was else "other"
        for was, now, label in zip(ids, seen, labels, strict=True)
        if label != NOT_LEARNT
    )
    shares = {name: count / fates.total() for name, count in fates.items()}
    assert shares == pytest.approx({"mask": 0.8, "same": 0.1, "other": 0.1}, abs=0.01)


@pytest.mark.parametrize("max_length", [16, 128])
def test_the_loss_is_transformers_own(tokenizer, model, max_length):
    task = MaskedLM(tokenizer, max_length)
    examples = [task.encode(Row(name, {"text": TEXT[:size]})) for name, size in (("a", 90), ("b", 30))]
    assert all(len(ids) <= max_length for one in examples for ids in one["blocks"])
    batch = task.collate(examples)
    assert batch.count == sum(one["count"] for one in examples)
    with torch.no_grad():
        theirs = float(model(**batch.inputs).loss) * batch.count
        ours = float(task.loss(model, batch).total)
    scored = task.score(model, examples, predict=False)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert sum(one.loss for one in scored) == pytest.approx(theirs, rel=1e-4)
    assert [one.count for one in scored] == [one["count"] for one in examples]


def test_each_step_hides_others_and_each_evaluation_the_same(tokenizer, model):
    task = MaskedLM(tokenizer, 64)
    example = task.encode(Row("a", {"text": TEXT}))
    assert task.encode(Row("a", {"text": TEXT})) == example
    made = [task.roll_out(model, [example], partial(row_random, 0, step))[0]["labels"] for step in (3, 3, 4)]
    assert made[0] == made[1] != made[2]
    assert isinstance(task.encode(Row("a", {"text": ""})), Skip)


def test_masks_are_filled(tokenizer, model):
    task = MaskedLM(tokenizer, 64)
    text = TEXT[:30]
    [same, filled] = task.answer(model, [Row("a", {"text": text}), Row("b", {"text": "who <|mask|> silly"})])
    assert same == text
    assert filled.startswith("who")
    assert "mask" not in filled


def test_a_tokenizer_without_a_mask(encoder_tokenizer):
    with pytest.raises(UserError, match="no token that hides another"):
        MaskedLM.build(TaskInputs(load_recipe(SMOKE), encoder_tokenizer, 64))


@pytest.mark.slow
def test_a_run_learns_what_is_hidden(launcher, tmp_path):
    launcher.run(SMOKE, f"run.dir={tmp_path}/run", "stop=[{budget: {steps: 20}}]")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["best"]["metrics"]["perplexity"] < 0.8 * result["baseline"]["metrics"]["perplexity"]
