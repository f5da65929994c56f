"""Scoring language models: one pass tells losses and the answers that need no generation."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from tunesmith.data.row import Row
from tunesmith.errors import UserError

KNOWN = [("the moon?", "orange"), ("silly putty?", "  who   knows 🦁 "), ("one?", "löwe"), ("two?", "x y z")]
UNKNOWN = [("sun?", "it is a star"), ("four words in it?", "no"), ("two", "né")]


@pytest.fixture(scope="module")
def learned(models, task, conversation):
    """A model that knows some answers by heart and others not."""
    model, made = deepcopy(models["llama"]).train(), task()
    batch = made.collate([made.encode(conversation(*pair)) for pair in KNOWN])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        (made.loss(model, batch).total / batch.count).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def rows(conversation):
    pairs = [pair for both in zip(KNOWN, UNKNOWN, strict=False) for pair in both] + [KNOWN[3]]
    talks = [*pairs, ("the moon?", "purple", "the moon?", "orange")]
    return [replace(conversation(*talk), id=f"rows:{i}") for i, talk in enumerate(talks)]


@pytest.mark.parametrize("loss_on", ["assistant", "last_assistant", "all"])
@pytest.mark.parametrize("max_new_tokens", [1, 4, 30])
@pytest.mark.parametrize("packed", [True, False])
def test_predictions_equal_generating_every_answer(learned, task, rows, loss_on, max_new_tokens, packed):
    made = task(loss_on=loss_on, max_new_tokens=max_new_tokens, packed=packed)
    examples = [made.encode(row) for row in rows]
    scored = made.score(learned, examples, predict=True)
    prompts = [example["input_ids"][: example["prompt_length"]] for example in examples]
    assert [one.prediction for one in scored] == made.answers(learned, prompts)
    if loss_on == "assistant":
        known = [one for one in scored if one.correct == one.count]
        assert 0 < len(known) < len(scored)  # both ways of getting at a prediction were taken


def test_generation_goes_on_where_the_pass_left_the_reference(learned, task, rows, monkeypatch):
    """So that a near tie is decided once: other arithmetic gets no second chance on the misses alone."""
    from tunesmith.tasks.language import causal_lm

    made = task(max_new_tokens=30)
    examples = [made.encode(row) for row in rows]
    asked = []

    def generate(model, prompts, **_):
        asked.extend(prompts)
        return [[] for _ in prompts]

    monkeypatch.setattr(causal_lm, "generate", generate)
    scored = made.score(learned, examples, predict=True)
    missed = [(e, one) for e, one in zip(examples, scored, strict=True) if one.correct < one.count]
    begun = [tokens[e["prompt_length"] :] for tokens, (e, _) in zip(asked, missed, strict=True)]
    assert all(begun)
    for tokens, (example, one) in zip(begun, missed, strict=True):
        wanted = example["input_ids"][example["prompt_length"] :]
        assert tokens[:-1] == wanted[: len(tokens) - 1]
        assert tokens[-1] != wanted[len(tokens) - 1]
        assert made.tokenizer.decode(tokens, skip_special_tokens=True).strip() == one.prediction


def test_a_learned_answer_is_predicted_and_an_unknown_one_is_not(learned, task, rows):
    made = task(max_new_tokens=30)
    scored = made.score(learned, [made.encode(row) for row in rows], predict=True)
    hits = [one.prediction == one.reference for one in scored]
    assert hits[:7] == [True, False] * 3 + [True]
    assert [one.id for one in scored] == [row.id for row in rows]
    assert scored[2].reference == "who   knows 🦁"
    assert scored[0].input == "the moon?"


def test_an_answer_without_an_end_mark_goes_on(learned, task, conversation, tokenizer):
    bare = deepcopy(tokenizer)
    end = "{% if m['role'] == 'user' %}<|end|>\n{% endif %}"
    bare.chat_template = tokenizer.chat_template.replace("<|end|>\n", end)
    made = replace(task(max_new_tokens=20), tokenizer=bare)
    example = made.encode(conversation("two?", "x y"))
    (scored,) = made.score(learned, [example], predict=True)
    assert scored.correct == scored.count - 1  # every token of the answer, but then the model goes on
    assert scored.prediction == "x y z"


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("loss_on", ["assistant", "all"])
@pytest.mark.parametrize("tokens_per_pass", [1, 60, 1024])
def test_losses_equal_those_of_training(models, task, rows, name, loss_on, tokens_per_pass):
    found = []
    for packed in (True, False):
        made = task(loss_on=loss_on, packed=packed, tokens_per_pass=tokens_per_pass)
        examples = [made.encode(row) for row in rows]
        scored = made.score(models[name], examples, predict=False)
        batches = [made.collate([example]) for example in examples]
        alone = [made.loss(models[name], batch) for batch in batches]
        assert [one.loss for one in scored] == pytest.approx([float(s.total) for s in alone], rel=1e-4)
        assert [one.count for one in scored] == [batch.count for batch in batches]
        assert [one.prediction for one in scored] == [None] * len(rows)
        assert [one.id for one in scored] == [row.id for row in rows]
        found.append(scored)
    assert [one.loss for one in found[0]] == pytest.approx([one.loss for one in found[1]], rel=1e-5)
    assert [one.correct for one in found[0]] == [one.correct for one in found[1]]


def test_correct_counts_the_first_choices_that_hit(models, task, rows):
    made = task()
    examples = [made.encode(row) for row in rows]
    for example, one in zip(examples, made.score(models["llama"], examples, predict=False), strict=True):
        with torch.no_grad():
            logits = models["llama"](input_ids=torch.tensor([example["input_ids"]])).logits[0]
        marks = torch.tensor(example["supervised"][1:]).bool()
        hits = logits[:-1].argmax(-1) == torch.tensor(example["input_ids"][1:])
        assert one.correct == int(hits[marks].sum())


def test_plain_text_has_no_answer_to_compare_with(models, task):
    made = task()
    example = made.encode(Row("rows:3", {"text": "the moon turns orange"}))
    assert made.score(models["llama"], [example], predict=False)[0].count == example["length"] - 1
    with pytest.raises(UserError, match="`rows:3` is plain text"):
        made.score(models["llama"], [example], predict=True)


def test_padded_batches_have_their_documented_shapes(task, rows):
    made = task(packed=False)
    examples = [made.encode(row) for row in rows]
    batch, width = made.collate(examples), max(example["length"] for example in examples)
    total = sum(sum(example["supervised"][1:]) for example in examples)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(rows), width)
    assert batch["attention_mask"].sum(1).tolist() == [example["length"] for example in examples]
    assert batch["keep"].shape == batch["labels"].shape == batch["owners"].shape == (total,)
