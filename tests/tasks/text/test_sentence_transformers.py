"""Against sentence-transformers itself: the same losses on a batch, and the same vectors of a folder."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertModel

from tunesmith.data.row import Row
from tunesmith.model.processors import train_tokenizer
from tunesmith.recipe.tasks.vectors import EmbeddingSettings
from tunesmith.tasks.text.embedding import Embedding

theirs = pytest.importorskip("sentence_transformers", reason="`make test-extras` has it")
NEAR = 1e-5
TEXTS = [
    ("one cup", "eine Tasse", "ein Teller"),
    ("two", "zwei", "drei"),
    ("spoon", "Löffel", "Messer"),
    ("a", "b", "c"),
]


@pytest.fixture(scope="module", autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=["mean", "cls", "last"])
def opened(request, tmp_path_factory):
    """A folder as a run delivers it, opened by sentence-transformers; with the task and the bare model."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer((text for row in TEXTS for text in row), 300, encoder=True)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).eval()
    folder: Path = tmp_path_factory.mktemp("model")
    settings = EmbeddingSettings(pooling=request.param, anchor_prompt="query: ")
    task = Embedding(tokenizer, settings, 32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name, text in task.further_files(model).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return SimpleNamespace(
        theirs=theirs.SentenceTransformer(str(folder), device="cpu").eval(), task=task, model=model
    )


def embedded(opened, **changes):
    task = replace(opened.task, **changes)
    sides = ("anchor", "positive", *(["negative"] if task.negatives else []))
    rows = [dict(zip(sides, texts, strict=False)) for texts in TEXTS]
    rows = [{**row, "score": i / 4} if task.scored else row for i, row in enumerate(rows)]
    examples = [task.encode(Row(str(i), row)) for i, row in enumerate(rows)]
    return task, task.embed(opened.model, task.collate(examples))


def test_vectors_are_equal(opened):
    _, ours = embedded(opened)
    for side, prompt, column in (("anchor", "query", 0), ("positive", "document", 1)):
        found = opened.theirs.encode(
            [row[column] for row in TEXTS], prompt_name=prompt, convert_to_tensor=True
        )
        assert torch.allclose(found, torch.nn.functional.normalize(ours[side], dim=-1), atol=1e-6)
    assert opened.theirs.max_seq_length == 32


@pytest.mark.parametrize("sizes", [(), (4, 8)])
@pytest.mark.parametrize("kind", ["pairs", "triplets", "scores"])
def test_losses_are_equal(opened, kind, sizes):
    from sentence_transformers import losses

    changes = {"negatives": kind == "triplets", "scored": kind == "scores"}
    settings = opened.task.settings.model_copy(update={"sizes": sizes})
    task, ours = embedded(opened, settings=settings, **changes)
    loss = (
        losses.CoSENTLoss(opened.theirs)
        if kind == "scores"
        else losses.MultipleNegativesRankingLoss(opened.theirs)
    )
    if sizes:
        loss = losses.MatryoshkaLoss(opened.theirs, loss, [16, *sizes])
    columns = [[f"query: {row[0]}" for row in TEXTS], *([row[i] for row in TEXTS] for i in (1, 2))]
    inputs = [opened.theirs.preprocess(list(texts)) for texts in columns[: 3 if kind == "triplets" else 2]]
    labels = torch.arange(4) / 4
    found = loss(inputs, labels)
    found = found["loss"] if isinstance(found, dict) else found
    assert float(task.coupled_loss(ours).total) / 4 == pytest.approx(float(found), abs=NEAR)
