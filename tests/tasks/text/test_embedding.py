"""Vectors of texts: losses against sums written out, searches against sorting, and rows of each kind."""

import math
from itertools import product

import pytest
import torch
from scipy.stats import spearmanr
from transformers import BertConfig, BertModel

from tunesmith.data.row import Row, Skip
from tunesmith.errors import UserError
from tunesmith.metrics.compute import metric_value
from tunesmith.metrics.metric import AnsweredRow
from tunesmith.model.processors import train_tokenizer
from tunesmith.recipe.tasks.vectors import EmbeddingSettings
from tunesmith.tasks.task import Scored
from tunesmith.tasks.text.contrastive import cosent_loss, pooled, ranking_loss
from tunesmith.tasks.text.embedding import Embedding
from tunesmith.tasks.text.retrieval import ranked

PAIRS = [("one cup", "eine Tasse"), ("two plates", "zwei Teller"), ("a spoon", "ein Löffel"), ("a", "b")]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer((text for pair in PAIRS for text in pair), 300, encoder=True)


@pytest.fixture(scope="module", autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).eval()


def task_of(tokenizer, *, scored=False, negatives=False, **settings):
    made = EmbeddingSettings(**settings)
    return Embedding(tokenizer, made, 32, scored=scored, negatives=negatives)


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("others", [0, 3])
def test_the_ranking_loss_is_the_sum_written_out(others):
    anchors, candidates = drawn(4, 6), drawn(4 + others, 6) + 0.5
    total = 0.0
    for i, anchor in enumerate(anchors.tolist()):
        weights = [math.exp(5 * cosine(anchor, one)) for one in candidates.tolist()]
        total -= math.log(weights[i] / sum(weights))
    found = ranking_loss(anchors, candidates, torch.arange(4 + others), scale=5.0)
    assert float(found) == pytest.approx(total, abs=1e-5)


def test_a_candidate_of_equal_text_is_no_negative():
    anchors, candidates = drawn(3, 6), drawn(3, 6)
    candidates[2] = candidates[0]
    found = ranking_loss(anchors, candidates, torch.tensor([5, 6, 5]), scale=5.0)
    alone = 0.0
    for i, rest in ((0, (0, 1)), (1, (0, 1, 2)), (2, (1, 2))):
        weights = {j: math.exp(5 * cosine(anchors[i].tolist(), candidates[j].tolist())) for j in rest}
        alone -= math.log(weights[i] / sum(weights.values()))
    assert float(found) == pytest.approx(alone, abs=1e-5)


def test_cosent_is_the_sum_over_pairs_in_order():
    anchors, others, scores = drawn(5, 6), drawn(5, 6).flip(0), torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0])
    cosines = [cosine(a, b) for a, b in zip(anchors.tolist(), others.tolist(), strict=True)]
    terms = [
        math.exp(20 * (cosines[i] - cosines[j]))
        for i, j in product(range(5), repeat=2)
        if scores[i] < scores[j]
    ]
    found = cosent_loss(anchors, others, scores, scale=20.0)
    assert float(found) == pytest.approx(5 * math.log(1 + sum(terms)), rel=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_padding_changes_no_vector(tokenizer, model, pooling):
    task = task_of(tokenizer, pooling=pooling)
    examples = [task.encode(Row(f"r{i}", {"anchor": a, "positive": b})) for i, (a, b) in enumerate(PAIRS)]
    together = task.embed(model, task.collate(examples))
    for index, example in enumerate(examples):
        alone = task.embed(model, task.collate([example]))
        for side in ("anchor", "positive"):
            assert torch.allclose(together[side][index], alone[side][0], atol=1e-6)
        hidden = model(input_ids=torch.tensor([example["anchor_ids"]])).last_hidden_state[0]
        expected = {"mean": hidden.mean(0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        assert torch.allclose(together["anchor"][index], expected, atol=1e-6)


def test_pooling_is_in_float32():
    assert (
        pooled(drawn(1, 3, 4).bfloat16(), torch.ones(1, 3, dtype=torch.long), "mean").dtype == torch.float32
    )


def test_each_size_is_learnt_beside_the_whole(tokenizer, model):
    task, whole = task_of(tokenizer, sizes=(4, 8)), task_of(tokenizer)
    examples = [task.encode(Row(f"r{i}", {"anchor": a, "positive": b})) for i, (a, b) in enumerate(PAIRS)]
    embedded = task.embed(model, task.collate(examples))
    loss = task.coupled_loss(embedded)
    assert set(loss.parts) == {"size_16", "size_4", "size_8"}
    cut = {name: value[:, :4] if value.ndim == 2 else value for name, value in embedded.items()}
    assert float(loss.parts["size_4"]) == pytest.approx(float(whole.coupled_loss(cut).total), abs=1e-6)
    assert float(loss.total) == pytest.approx(sum(map(float, loss.parts.values())), abs=1e-5)


def test_negatives_stand_beside_the_positives_where_there_are_some(tokenizer, model):
    task = task_of(tokenizer, negatives=True, positive_prompt="text: ")
    rows = [{"anchor": a, "positive": b} for a, b in PAIRS]
    rows[1]["negative"], rows[3]["negative"] = "drei Messer", "ein Krug"
    examples = [task.encode(Row(f"r{i}", row)) for i, row in enumerate(rows)]
    assert [bool(one["negative_ids"]) for one in examples] == [False, True, False, True]
    assert tokenizer.decode(examples[1]["negative_ids"]).count("text") == 1
    embedded = task.embed(model, task.collate(examples))
    vectors = torch.cat([embedded["positive"], embedded["negative"][[1, 3]]])
    expected = ranking_loss(embedded["anchor"], vectors, torch.arange(6), scale=20.0)
    assert float(task.coupled_loss(embedded).total) == pytest.approx(float(expected), abs=1e-5)
    # in passes of which some have no negative at all
    parts = [task.embed(model, task.collate([example])) for example in examples]
    joined = {name: torch.cat([part[name] for part in parts]) for name in embedded}
    assert float(task.coupled_loss(joined).total) == pytest.approx(float(expected), abs=1e-5)


def test_scored_pairs_need_a_score_and_give_a_cosine(tokenizer, model):
    task = task_of(tokenizer, scored=True)
    skipped = task.encode(Row("r", {"anchor": "a", "positive": "b"}))
    assert isinstance(skipped, Skip)
    examples = [
        task.encode(Row(f"r{i}", {"anchor": a, "positive": b, "score": i / 4}))
        for i, (a, b) in enumerate(PAIRS)
    ]
    scored = task.relate(task.score(model, examples, predict=True))
    embedded = task.embed(model, task.collate(examples))
    for index, one in enumerate(scored):
        assert one.prediction == pytest.approx(
            cosine(embedded["anchor"][index].tolist(), embedded["positive"][index].tolist()), abs=1e-5
        )
        assert one.reference == index / 4
        others = [other for other in scored if other is not one]
        signs = [1 if one.reference > other.reference else -1 for other in others]
        gaps = [other.prediction - one.prediction for other in others]
        wrong = [gap * sign for gap, sign in zip(gaps, signs, strict=True)]
        assert one.loss == pytest.approx(sum(math.log1p(math.exp(20 * x)) for x in wrong) / 3)
        assert "rank" not in one.given
        assert task.lone_loss(one) == pytest.approx(1 - one.prediction)


def scored_of(anchor, positive, key, reference):
    return Scored(f"r{reference}", 0.0, 1, 0, None, reference, "", unwritten=(anchor, positive, key))


def test_ranks_are_places_in_the_order_of_cosines():
    draw = torch.Generator().manual_seed(3)
    vectors = torch.nn.functional.normalize(torch.randn(2, 40, 5, generator=draw), dim=-1)
    keys = [index % 30 for index in range(40)]  # ten texts stand there twice
    texts = [vectors[1][key].numpy() for key in keys]
    rows = [scored_of(vectors[0][i].numpy(), texts[i], keys[i], f"{i}:{keys[i]}") for i in range(40)]
    for index, one in enumerate(ranked(rows, 5.0)):
        cosines = {key: float(vectors[0][index] @ vectors[1][key]) for key in range(30)}
        order = sorted(cosines, key=cosines.get, reverse=True)
        assert one.given["rank"] == order.index(keys[index]) + 1
        assert one.prediction.endswith(f":{order[0]}")
        assert one.correct == (order[0] == keys[index])
        weights = {key: math.exp(5 * value) for key, value in cosines.items()}
        assert one.loss == pytest.approx(-math.log(weights[keys[index]] / sum(weights.values())), rel=1e-5)
        assert one.unwritten is None
    found = ranked(rows, 5.0)
    ranks = [one.given["rank"] for one in found]
    assert metric_value("recall_at_1", found) == pytest.approx(sum(r == 1 for r in ranks) / 40)
    assert metric_value("recall_at_10", found) == pytest.approx(sum(r <= 10 for r in ranks) / 40)
    assert metric_value("mrr_at_10", found) == pytest.approx(sum(1 / r for r in ranks if r <= 10) / 40)


def test_spearman_is_scipys_ties_among_it():
    ours, theirs = [0.1, 0.4, 0.4, 0.2, 0.9, 0.0], [1.0, 2.0, 3.0, 2.0, 2.0, 0.0]
    rows = [AnsweredRow(a, b) for a, b in zip(ours, theirs, strict=True)]
    assert metric_value("spearman", rows) == pytest.approx(spearmanr(ours, theirs).statistic)
    assert math.isnan(metric_value("spearman", [AnsweredRow(1.0, 2.0), AnsweredRow(1.0, 3.0)]))


def test_a_size_beyond_the_vector_is_refused(tokenizer, model):
    with pytest.raises(UserError, match=r"`task\.sizes` has 32, and this model's vectors have 16"):
        task_of(tokenizer, sizes=(32,)).fit(model, fresh_head=False)
