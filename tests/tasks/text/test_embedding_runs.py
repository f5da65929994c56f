"""Vectors in real runs: in two processes, killed, delivered, measured again, and what cannot be asked for."""

import json
import shutil

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from launched import environment_of
from tunesmith.tasks.text.contrastive import pooled

pytestmark = pytest.mark.slow

FEW = ("stop=[{budget: {steps: 12}}]", "eval.every=4 steps", "run.save_every=4 steps")
KILL = "backward at=11 do=SIGKILL"  # in the second pass of the sixth step
STILL = ("model.new.hidden_dropout_prob=0", "model.new.attention_probs_dropout_prob=0")


@pytest.fixture(scope="module")
def finished(launcher, tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "run"
    return run, launcher.run("embedding", f"run.dir={run}")


def test_texts_are_found_in_the_other_language(read, finished):
    run, done = finished
    result = read.json(run / "result.json")
    assert result["baseline"]["metrics"]["recall_at_1"] < 0.2
    assert result["best"]["metrics"]["recall_at_1"] >= 0.9
    assert result["stop"]["rule"] == "target"
    assert "embedded twice, as it takes several passes" in done.out
    assert set(read.journal(run, "train")[0]["parts"]) == {"size_32", "size_16"}
    (sample, *_) = [one for one in read.json(run / "samples.json") if one["after"] == one["reference"]]
    assert sample["input"] != sample["reference"]


def test_what_is_delivered_is_what_was_measured(read, finished):
    run, _ = finished
    folder = run / "model"
    assert [one["type"].rpartition(".")[2] for one in read.json(folder / "modules.json")] == [
        "Transformer",
        "Pooling",
        "Normalize",
    ]
    assert read.json(folder / "1_Pooling" / "config.json")["pooling_mode_mean_tokens"] is True
    assert "SentenceTransformer" in (folder / "README.md").read_text()
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    scores = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    with torch.no_grad():
        texts = [[one["input"] for one in scores], [one["reference"] for one in scores]]
        batches = [tokenizer(some, padding=True, return_tensors="pt") for some in texts]
        sides = [pooled(model(**one).last_hidden_state, one["attention_mask"], "mean") for one in batches]
    anchors, positives = (torch.nn.functional.normalize(side, dim=-1) for side in sides)
    cosines = anchors @ positives.T
    nearest = [texts[1][place] for place in cosines.argmax(1).tolist()]
    hits = sum(ours == theirs for ours, theirs in zip(nearest, texts[1], strict=True)) / len(nearest)
    assert hits == pytest.approx(read.json(run / "result.json")["best"]["metrics"]["recall_at_1"])
    assert [one["prediction"] for one in scores] == nearest
    assert "vector" not in (run / "scores.jsonl").read_text()


def test_it_is_measured_on_other_rows_and_answers_with_vectors(launcher, finished, tmp_path):
    run, _ = finished
    shutil.copy(launcher.recipe("embedding").with_name("rows.py"), tmp_path)
    rows = [
        {"english": f"one {c} cups in box {n}", "other": f"tem {o} ka {n}"}
        for c, o in (("red", "oran"), ("blue", "silu"), ("black", "nok"))
        for n in range(8)
    ]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = launcher.command("evaluate", str(run), "--data", str(tmp_path / "new.jsonl"))
    assert "recall_at_1" in done.out
    assert "pearson" not in done.out
    asked = ("--input", str(tmp_path / "new.jsonl"), "--output", str(tmp_path / "out.jsonl"))
    launcher.command("generate", str(run), *asked)
    answers = [json.loads(line)["output"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(answers) == 24
    assert all(sum(x * x for x in one) == pytest.approx(1, abs=1e-5) for one in answers)


def test_two_processes_learn_and_find_what_one_does(launcher, read, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    launcher.run("embedding", *FEW, *STILL, "batch.micro=32", f"run.dir={alone}")
    two = environment_of("cpu_2proc")
    launcher.run("embedding", *FEW, *STILL, "batch.micro=4", f"run.dir={shared}", processes=2, **two)
    for ours, theirs in zip(read.journal(shared, "train"), read.journal(alone, "train"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4), ours["step"]
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3), ours["step"]
    for ours, theirs in zip(read.journal(shared, "eval"), read.journal(alone, "eval"), strict=True):
        assert ours["metrics"] == pytest.approx(theirs["metrics"], abs=0.03)
        assert ours["examples"] == theirs["examples"] == 80


def test_a_killed_run_goes_on_bit_for_bit(launcher, read, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    launcher.run("embedding", *FEW, f"run.dir={straight}")
    launcher.run(
        "embedding", *FEW, f"run.dir={killed}", status=-9, TUNESMITH_FAULT="backward at=11 do=SIGKILL"
    )
    launcher.run("embedding", *FEW, f"run.dir={killed}")
    assert read.losses(killed) == read.losses(straight)
    assert read.weights(killed) == read.weights(straight)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("eval.metrics=[pearson]", "`pearson` cannot be measured, since rows have no `score`"),
        ("eval.subset=auto", "`eval.subset: auto` scores a part of the rows"),
        ("batch={size: 1}", "compares the samples of a batch with each other"),
        ("task={name: embedding, sizes: [64]}", "`task.sizes` has 64, and this model's vectors have 32"),
        ("task={name: embedding, pooling: max}", "`task.pooling` must be"),
    ],
)
def test_what_cannot_be_is_told(launcher, tmp_path, override, message):
    done = launcher.run("embedding", override, f"run.dir={tmp_path / 'run'}", status=2)
    assert message in done.err
