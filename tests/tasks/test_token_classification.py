"""Words and tags: given words, marked places, windows; against a model asked without any of it."""

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForTokenClassification

from tunesmith.data.map.normalise import BadRow
from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.tasks.class_loss import ClassLoss
from tunesmith.tasks.text.token_classification import TokenClassification
from tunesmith.tasks.text.word_tags import joined, parted, spans_of_tags, tags_of_spans

LABELS = ("O", "B-A", "I-A")
WORDS = ["what", "kind", "of", "question", "is", "this", "?", "who", "invented", "silly", "putty"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(6)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(
        vocab_size=400, max_position_embeddings=64, num_labels=3, initializer_range=0.5, **sizes
    )
    return BertForTokenClassification(config).eval()


def row(words=WORDS, tags=None, name="r"):
    return Row(name, {"tokens": list(words), "tags": list(tags or ["O", "B-A", "I-A"] * 4)[: len(words)]})


@pytest.mark.parametrize("max_length", [64, 12])
def test_the_loss_is_that_of_each_words_first_token(encoder_tokenizer, model, max_length):
    task = TokenClassification(encoder_tokenizer, LABELS, max_length, 4)
    rows = [row(name="a"), row(WORDS[:5], name="b"), row(WORDS[6:], name="c")]
    examples = [task.encode(one) for one in rows]
    assert all(len(ids) <= max_length for one in examples for ids in one["windows"])
    assert [one["count"] for one in examples] == [len(one.fields["tokens"]) for one in rows]
    scored = task.score(model, examples, predict=True)
    with torch.no_grad():
        total = float(task.loss(model, task.collate(examples)).total)
    assert total == pytest.approx(sum(one.loss for one in scored), rel=1e-4)
    if max_length < 64:
        assert len(examples[0]["windows"]) > 1
        return
    for one, found in zip(rows, scored, strict=True):
        words, told, loss = one.fields["tokens"], [], 0.0
        before = [encoder_tokenizer(" ".join(words[:n]), add_special_tokens=False) for n in range(len(words))]
        places = [1 + len(each["input_ids"]) for each in before]
        ids = encoder_tokenizer(" ".join(words))["input_ids"]
        places = [at + (not encoder_tokenizer.decode([ids[at]]).strip()) for at in places]  # behind the blank
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        for place, tag in zip(places, one.fields["tags"], strict=True):
            told.append(LABELS[int(logits[place].argmax())])
            loss += float(F.cross_entropy(logits[place], torch.tensor(LABELS.index(tag))))
        assert found.prediction.split() == told
        assert found.loss == pytest.approx(loss, rel=1e-4)
        assert found.correct == sum(a == b for a, b in zip(told, one.fields["tags"], strict=True))


def test_the_loss_is_transformers_own(encoder_tokenizer, model):
    task = TokenClassification(encoder_tokenizer, LABELS, 64, 4)
    batch = task.collate([task.encode(row(name="a")), task.encode(row(WORDS[:4], name="b"))])
    theirs = model(**dict(batch.inputs)).loss * batch.count
    assert float(task.loss(model, batch).total) == pytest.approx(float(theirs), rel=1e-5)
    weighed = TokenClassification(encoder_tokenizer, LABELS, 64, 4, class_loss=ClassLoss((1.0, 2.0, 2.0)))
    assert float(weighed.loss(model, batch).total) > float(theirs)


@given(st.text("ab1 .,-é\u200b", max_size=60), st.data())
def test_places_become_tags_and_places_again(text, data):
    words = parted(text)
    if not words.places:
        return
    first = data.draw(st.integers(0, len(words.places) - 1))
    last = data.draw(st.integers(first, len(words.places) - 1))
    span = {"start": words.places[first][0], "end": words.places[last][1], "label": "A b"}
    tags = tags_of_spans(words, [span])
    found = spans_of_tags(words, tags)
    assert found == [{**span, "label": "A_b", "text": text[span["start"] : span["end"]]}]


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([(0, 5), (3, 8)], "the span from 3 to 8 shares a word with another"),
        ([(3, 4)], "the span from 3 to 4 holds no word"),
    ],
)
def test_places_that_no_tags_say(spans, said):
    with pytest.raises(BadRow) as caught:
        tags_of_spans(parted("the moon turns"), [{"start": a, "end": b, "label": "A"} for a, b in spans])
    assert caught.value.detail == said


def test_rows_that_cannot_be_learnt(encoder_tokenizer):
    task = TokenClassification(encoder_tokenizer, LABELS, 64, 4)
    few = task.encode(Row("r", {"tokens": ["a", "b"], "tags": ["O"]}))
    assert isinstance(few, Skip)
    assert few.detail == "2 words and 1 tags"
    blank = task.encode(Row("r", {"tokens": ["a"], "tags": ["B A"]}))
    assert isinstance(blank, Skip)
    assert blank.detail == "tag `B A` holds a blank"
    assert isinstance(task.encode(Row("r", {"text": " \t ", "spans": []})), Skip)
    with pytest.raises(UserError, match="label `B-X`, which no training row has"):
        task.encode(Row("r", {"tokens": ["a"], "tags": ["B-X"]}))


def test_an_answer_is_tags_of_words_and_places_in_a_text(encoder_tokenizer, model):
    task = TokenClassification(encoder_tokenizer, LABELS, 64, 4)
    text = " ".join(WORDS)
    rows = [Row("a", {"tokens": WORDS}), Row("b", {"text": text})]
    tags, places = task.answer(model, rows)
    assert tags == task.score(model, [task.encode(row())], predict=True)[0].prediction.split()
    assert places == spans_of_tags(joined(WORDS), tags)
    assert json.dumps(places)


@pytest.mark.parametrize("max_length", [3, 4])
def test_windows_of_hardly_any_room(encoder_tokenizer, max_length):
    task = TokenClassification(encoder_tokenizer, LABELS, max_length, 32)
    example = task.encode(row())
    assert example["count"] == len(WORDS)
    with pytest.raises(UserError, match="has no room for text beside 2 special tokens"):
        TokenClassification(encoder_tokenizer, LABELS, 2, 0).encode(row())
