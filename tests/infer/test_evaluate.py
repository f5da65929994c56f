"""A finished model, or any model's folder, is measured on a file: every metric, intervals, slices, a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.cli.main import command_line
from tunesmith.errors import UserError
from tunesmith.infer.evaluate import evaluate_file
from tunesmith.report.score_files import read_scores

TEXTS = [f"who invented the moon {n} ?" for n in range(24)]


@pytest.fixture
def labelled(tmp_path: Path, make) -> Path:
    rows = [
        {"text": text, "kind": str(n % 3), "topic": "art" if n % 2 else "law"} for n, text in enumerate(TEXTS)
    ]
    return make.write_rows(tmp_path / "rows.jsonl", [*rows, {"text": " ", "kind": "0", "topic": "art"}])


def act(*arguments: object) -> int:
    try:
        return command_line([str(one) for one in arguments])
    except SystemExit as leave:
        return int(leave.code or 0)


def test_every_metric_of_a_classifier_with_intervals_slices_and_confusion(labels_run, labelled, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = evaluate_file(labels_run, labelled, slices=["topic"])
    assert {"loss", "accuracy", "macro_f1", "ece", "brier", "mcc", "roc_auc", "weighted_f1"} <= set(
        found.metrics
    )
    assert {"roc_auc", "average_precision", "balanced_accuracy"} <= set(found.intervals)
    assert {"accuracy[topic=art]", "accuracy[topic=law]", "worst/accuracy"} <= set(found.metrics)
    assert found.left_out == {"empty": 1}
    assert found.rows == len(TEXTS)
    low, high = found.intervals["accuracy"]
    assert low <= found.metrics["accuracy"] <= high
    model = AutoModelForSequenceClassification.from_pretrained(labels_run / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(labels_run / "model")
    with torch.no_grad():
        said = [int(model(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in TEXTS]
    assert found.metrics["accuracy"] == pytest.approx(
        sum(guess == n % 3 for n, guess in enumerate(said)) / len(TEXTS)
    )
    counts = found.confusion["counts"]
    assert sum(map(sum, counts)) == len(TEXTS)
    assert [one.id for one in found.scored] == [f"rows.jsonl:{n + 1}" for n in range(len(TEXTS))]


def test_the_command_writes_a_page_and_scores_into_the_run(labels_run, labelled, capsys):
    status = act("evaluate", labels_run, "--data", labelled, "--slices", "topic", "--force")
    out = capsys.readouterr().out
    assert status == 0
    assert "left out: 1 empty" in out
    folder = labels_run / "evaluations" / "rows"
    page = (folder / "report.html").read_text()
    for words in ("accuracy", "Confusion", "Errors that remain", "accuracy by topic", "95 % interval"):
        assert words in page
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["metrics"]["accuracy"] == pytest.approx(
        sum(one.prediction == one.reference for one in read_scores(folder / "scores.jsonl")) / len(TEXTS)
    )
    assert act("evaluate", labels_run, "--data", labelled) == 2
    assert "`--force`" in capsys.readouterr().err


def test_any_model_folder_does(labels_run, numbers_run, images_run, language_run, tmp_path, make):
    import shutil

    from PIL import Image

    def alone(run: Path) -> Path:
        return Path(shutil.copytree(run / "model", tmp_path / run.parent.name))

    rows = [{"text": text, "label": ("ABBR", "HUM", "no")[n % 3]} for n, text in enumerate(TEXTS)]
    found = evaluate_file(alone(labels_run), make.write_rows(tmp_path / "l.jsonl", rows))
    assert found.task == "sequence-classification"
    numbers = make.write_rows(tmp_path / "n.jsonl", [{"text": t, "target": n} for n, t in enumerate(TEXTS)])
    found = evaluate_file(alone(numbers_run), numbers)
    assert found.task == "regression"
    assert set(found.metrics) == {"mse", "pearson"}
    squares = [(one.prediction - one.reference) ** 2 for one in found.scored]
    assert found.metrics["mse"] == pytest.approx(sum(squares) / len(squares))
    Image.new("L", (20, 24), 10).save(tmp_path / "dark.png")
    pictures = make.write_rows(tmp_path / "p.jsonl", [{"image": "dark.png", "label": "black"}] * 12)
    assert evaluate_file(alone(images_run), pictures).task == "image-classification"
    talk = make.write_rows(tmp_path / "t.jsonl", [{"prompt": t, "completion": "the moon"} for t in TEXTS])
    found = evaluate_file(alone(language_run), talk, max_new_tokens=4)
    assert {"loss", "perplexity", "token_accuracy", "exact_match", "f1", "bleu"} <= set(found.metrics)
    plain = make.write_rows(tmp_path / "plain.jsonl", [{"text": text} for text in TEXTS])
    found = evaluate_file(tmp_path / language_run.parent.name, plain)
    assert set(found.metrics) == {"loss", "perplexity", "token_accuracy"}


def test_what_cannot_be_measured_is_said(labels_run, labelled, tmp_path, make):
    with pytest.raises(UserError, match="`--slices topics` names a column") as caught:
        evaluate_file(labels_run, labelled, slices=["topics"])
    assert "did you mean `topic`" in caught.value.hint
    strange = make.write_rows(tmp_path / "s.jsonl", [{"text": "a", "kind": "0"}, {"text": "b", "kind": "7"}])
    with pytest.raises(UserError, match="has label `7`"):
        evaluate_file(labels_run, strange)
    bare = make.write_rows(tmp_path / "b.jsonl", [{"text": "a"}])
    with pytest.raises(UserError, match="`kind`"):
        evaluate_file(labels_run, bare)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="does not say what the model is for") as caught:
        evaluate_file(tmp_path / "odd", bare)
    assert "--task" in caught.value.hint
