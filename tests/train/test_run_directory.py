"""The contract of a run directory, on real runs of every task."""

import json
from pathlib import Path

import pytest
import torch

from tunesmith.checkpoint.manifest import verify
from tunesmith.checkpoint.run_dir import recover
from tunesmith.recipe.dump import recipe_hash
from tunesmith.recipe.load import load_recipe

TASKS = ("causal-lm", "sequence-classification", "regression", "image-classification")
ALL = (*TASKS, "lora")
FILES = {
    "recipe.yaml", "environment.json", "metrics.jsonl", "result.json", "report.html", "data.json",
    "samples.json", "preview.json", "plan.txt", "model", "checkpoints", "best", "owner.lock",
    "scores.jsonl", "baseline_scores.jsonl", "scores_of.json", "rows.jsonl",
}  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_missing_and_nothing_is_left_over(finished, name):
    found = {path.name for path in finished.runs[name].iterdir()}
    classes = {"confusion.json"}
    more = {"sequence-classification": classes, "image-classification": classes | {"drawings.json"}}
    assert found == FILES | more.get(name, set()) | ({"adapter"} if name == "lora" else set())
    assert not [
        path for path in finished.runs[name].rglob("*") if ".tmp-" in path.name or ".old-" in path.name
    ]


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_written_would_be_tidied_away_half_written(finished, tmp_path, name):
    """`checkpoint/names.py` knows every name."""
    for path in finished.runs[name].iterdir():
        if path.name not in ("owner.lock", "checkpoints", "best"):
            (tmp_path / f"{path.name}.tmp-1-0a1b2c3d").touch()
    recover(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_every_step_is_recorded(finished, read, name):
    records = read.journal(finished.runs[name], "train")
    recipe = load_recipe(finished.recipes[name])
    assert [record["step"] for record in records] == list(range(1, len(records) + 1))
    for record in records:
        keys = {
            "loss",
            "loss_hex",
            "grad_norm",
            "learning_rate",
            "tokens",
            "supervised_tokens",
            "seconds",
            "samples",
        }
        assert keys <= record.keys()
        assert float.fromhex(record["loss_hex"]) == record["loss"]
        assert record["grad_norm"] > 0
        assert record["epoch"] == pytest.approx(
            record["step"] * recipe.batch.size / examples(finished, read, name), abs=1e-5
        )
    assert len({record["samples"] for record in records[:10]}) == min(10, len(records))
    for name_, strict in (("tokens", True), ("seconds", False)):
        values = [record[name_] for record in records]
        assert values == sorted(values)
        assert not strict or len(set(values)) == len(values)


def examples(finished, read, name) -> int:
    return read.json(finished.runs[name] / "data.json")["train"]


@pytest.mark.parametrize("name", ALL)
def test_every_evaluation_is_recorded_with_its_verdict(finished, read, name):
    records, result = (
        read.journal(finished.runs[name], "eval"),
        read.json(finished.runs[name] / "result.json"),
    )
    assert [record["step"] for record in records] == list(range(0, result["stop"]["step"] + 1, 10))
    for record in records:
        assert record["metrics"]["loss"] > 0
        assert record["examples"] == read.json(finished.runs[name] / "data.json")["eval"]
        for metric, (low, high) in record["intervals"].items():
            assert low - 1e-9 <= record["metrics"][metric] <= high + 1e-9, metric
        assert record["verdict"]["decision"] == ("stop" if record is records[-1] else "continue")
        assert record["verdict"]["reason"]


@pytest.mark.parametrize("name", ALL)
def test_the_result_is_what_the_journal_says(finished, read, name):
    run_dir = finished.runs[name]
    result, evals = read.json(run_dir / "result.json"), read.journal(run_dir, "eval")
    last = evals[-1]["verdict"]
    assert result["status"] == ("completed" if last["rule"] == "budget" else "stopped")
    assert (result["stop"]["rule"], result["stop"]["reason"]) == (last["rule"], last["reason"])
    assert result["stop"]["step"] == evals[-1]["step"] == read.journal(run_dir, "train")[-1]["step"]
    by_step = {record["step"]: record["metrics"] for record in evals}
    for part, step in (("baseline", 0), ("best", result["best"]["step"]), ("final", evals[-1]["step"])):
        assert (result[part]["step"], result[part]["metrics"]) == (step, by_step[step])
    assert result["world"] == {"processes": 1, "machines": 1}
    assert result["resumed_from"] == []
    assert result["model"] == "model"
    assert result["throughput"]["tokens_per_second"] > 0
    assert str(result["best"]["step"]) in result["explanation"]


@pytest.mark.parametrize("name", ALL)
def test_training_and_evaluating_take_the_whole_time(finished, read, name):
    run_dir = finished.runs[name]
    resources = read.json(run_dir / "environment.json")["resources"]
    evals, last = read.journal(run_dir, "eval"), read.journal(run_dir, "train")[-1]
    evaluating = sum(record["seconds"] for record in evals)
    assert resources["seconds_evaluating"] == pytest.approx(evaluating, abs=0.01)
    before_the_last_step = sum(record["seconds"] for record in evals[:-1])
    assert resources["seconds_training"] == pytest.approx(last["seconds"] - before_the_last_step, abs=0.01)
    assert resources["tokens_per_second"] == pytest.approx(last["tokens"] / resources["seconds_training"])
    assert read.json(run_dir / "result.json")["throughput"]["seconds"] == pytest.approx(
        resources["seconds_training"] + resources["seconds_evaluating"]
    )


@pytest.mark.parametrize("name", ALL)
def test_the_environment_says_what_it_ran_on(finished, read, name):
    environment = read.json(finished.runs[name] / "environment.json")
    assert {"torch", "transformers", "python", "tunesmith"} <= environment["versions"].keys()
    assert environment["recipe_hash"] == recipe_hash(load_recipe(finished.runs[name] / "recipe.yaml"))
    assert environment["data_fingerprint"] == read.json(finished.runs[name] / "data.json")["fingerprint"]
    assert (environment["world_size"], environment["zero_stage"], environment["precision"]) == (
        1,
        0,
        "float32",
    )
    assert (environment["threads"], environment["resources"]["threads"]) == (1, 1)
    assert environment["resources"]["peak_rss_bytes"] > 10**8
    assert environment["host"]


@pytest.mark.parametrize("name", ALL)
def test_checkpoints_and_best_weights_are_whole(finished, read, name):
    run_dir = finished.runs[name]
    last = read.json(run_dir / "result.json")["stop"]["step"]
    folders = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    assert folders == [f"step-{step:08d}" for step in (last - 10, last) if step]
    for folder in [*(run_dir / "checkpoints").iterdir(), *(run_dir / "best").iterdir()]:
        assert verify(folder) == []
        assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors"}
    assert json.loads((run_dir / "checkpoints" / folders[-1] / "manifest.json").read_text())["step"] == last


@pytest.mark.parametrize("name", ALL)
def test_the_recipe_loads_to_the_same_recipe(finished, name):
    run_dir = finished.runs[name]
    again = load_recipe(run_dir / "recipe.yaml")
    overrides = [f"run.dir={run_dir}", "run.threads=1", *([] if name == "lora" else ["eval.every=10 steps"])]
    assert again == load_recipe(finished.recipes[name], overrides)


def test_plan_prints_the_text_that_the_run_printed(finished, tmp_path, launcher):
    printed = launcher.command("plan", str(finished.recipes["lora"]), "run.threads=1", cwd=tmp_path).out
    block, command_line = printed.rstrip("\n").rsplit("\n", 1)
    assert command_line.split() == [
        "command",
        "tunesmith",
        "run",
        str(finished.recipes["lora"]),
        "run.threads=1",
    ]
    assert block.startswith((finished.runs["lora"] / "plan.txt").read_text())
    assert "memory" in block, "the plan adds what a run need not know"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TASKS)
def test_the_run_prints_its_plan_its_verdicts_and_where_things_are(finished, read, name):
    run_dir, out = finished.runs[name], finished.started[name].out
    assert (run_dir / "plan.txt").read_text() in out
    assert "1 threads a process" in out
    for record in read.journal(run_dir, "eval"):
        assert record["verdict"]["reason"] in out
    assert read.json(run_dir / "result.json")["explanation"] in out
    assert str(run_dir / "model") in out
    assert str(run_dir / "report.html") in out
    assert "Traceback" not in finished.started[name].err


def best_metrics(read, run_dir: Path) -> dict[str, float]:
    return read.json(run_dir / "result.json")["best"]["metrics"]


def held_out(finished, name: str):
    """The rows that the run was evaluated on."""
    from tunesmith.data.load import load_rows
    from tunesmith.recipe.tasks.table import spec_of

    recipe = load_recipe(finished.recipes[name])
    folder = finished.recipes[name].parent
    return load_rows(recipe.data, spec_of(recipe.task).row_schema, recipe.run.seed, folder=folder).eval


@pytest.mark.parametrize("name", ["causal-lm", "lora"])
def test_the_language_model_opens_with_plain_transformers_and_answers_alike(finished, read, name):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run_dir = finished.runs[name]
    model = AutoModelForCausalLM.from_pretrained(run_dir / "model")
    tokenizer = AutoTokenizer.from_pretrained(run_dir / "model")
    samples = read.json(run_dir / "samples.json")
    assert len(samples) == 8
    assert any(sample["before"] != sample["after"] for sample in samples)
    hits = 0
    rows = {row.id: row for row in held_out(finished, name)}
    for sample in samples:
        messages = [m for m in rows[sample["id"]].fields["messages"] if m["role"] != "assistant"]
        assert sample["input"] == messages[-1]["content"]
        answer = answer_of(model, tokenizer, messages)
        assert answer == sample["after"]
        hits += answer == sample["reference"]
    assert hits >= 4, "a model that learnt nothing cannot tell whether it was saved right"


def answer_of(model, tokenizer, messages) -> str:
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    rows = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return tokenizer.decode(rows[0, ids.shape[1] :], skip_special_tokens=True).strip()


def test_the_adapter_beside_the_merged_model_opens_with_plain_peft(finished):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    run_dir = finished.runs["lora"]
    base = AutoModelForCausalLM.from_pretrained(finished.runs["causal-lm"] / "model")
    adapted = PeftModel.from_pretrained(base, run_dir / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(run_dir / "model").eval()
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(adapted(ids).logits, merged(ids).logits, atol=1e-4)
        with adapted.disable_adapter():
            assert not torch.allclose(adapted(ids).logits, merged(ids).logits, atol=1e-2)


def test_the_classifier_opens_with_plain_transformers_and_scores_alike(finished, read):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run_dir = finished.runs["sequence-classification"]
    model = AutoModelForSequenceClassification.from_pretrained(run_dir / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(run_dir / "model")
    rows = held_out(finished, "sequence-classification")
    said = []
    with torch.no_grad():
        for row in rows:
            index = int(model(**tokenizer(row.fields["text"], return_tensors="pt")).logits.argmax())
            said.append(model.config.id2label[index])
    right = sum(one == row.fields["label"] for one, row in zip(said, rows, strict=True)) / len(rows)
    assert right == pytest.approx(best_metrics(read, run_dir)["accuracy"])
    by_id = dict(zip((row.id for row in rows), said, strict=True))
    for sample in read.json(run_dir / "samples.json"):
        assert by_id[sample["id"]] == sample["after"]
    confusion = read.json(run_dir / "confusion.json")
    assert sorted(confusion["labels"]) == ["farewell", "greeting"]
    assert sum(confusion["counts"][i][i] for i in range(2)) / len(rows) == pytest.approx(right)
    assert sum(map(sum, confusion["counts"])) == len(rows)


def test_the_regression_answers_in_the_users_units(finished, read):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run_dir = finished.runs["regression"]
    model = AutoModelForSequenceClassification.from_pretrained(run_dir / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(run_dir / "model")
    rows = held_out(finished, "regression")
    with torch.no_grad():
        said = [float(model(**tokenizer(row.fields["text"], return_tensors="pt")).logits) for row in rows]
    errors = [(one - row.fields["target"]) ** 2 for one, row in zip(said, rows, strict=True)]
    assert sum(errors) / len(errors) == pytest.approx(best_metrics(read, run_dir)["mse"], rel=1e-4)
    by_id = dict(zip((row.id for row in rows), said, strict=True))
    for sample in read.json(run_dir / "samples.json"):
        assert by_id[sample["id"]] == pytest.approx(float(sample["after"]), abs=1e-3)


def test_the_image_model_opens_with_plain_transformers_and_scores_alike(finished, read):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from tunesmith.tasks.image_classification import open_image

    run_dir = finished.runs["image-classification"]
    model = AutoModelForImageClassification.from_pretrained(run_dir / "model").eval()
    processor = AutoImageProcessor.from_pretrained(run_dir / "model")
    rows = held_out(finished, "image-classification")
    right = 0
    with torch.no_grad():
        for row in rows:
            pixels = processor(open_image(row.fields["image"]), return_tensors="pt")
            right += model.config.id2label[int(model(**pixels).logits.argmax())] == row.fields["label"]
    assert right / len(rows) == pytest.approx(best_metrics(read, run_dir)["accuracy"])


@pytest.mark.parametrize("name", ALL)
def test_the_preview_shows_what_carries_loss(finished, read, name):
    shown = read.json(finished.runs[name] / "preview.json")
    assert len(shown) == 4
    for example in shown:
        assert any(carries for _, carries in example["tokens"])
        assert not all(carries for _, carries in example["tokens"])


@pytest.mark.parametrize("name", ALL)
def test_the_card_and_the_report_name_the_run(finished, read, name):
    run_dir = finished.runs[name]
    card = (run_dir / "model" / "README.md").read_text()
    assert f"Weights of step {read.json(run_dir / 'result.json')['best']['step']}" in card
    report = (run_dir / "report.html").read_text()
    assert (
        read.json(run_dir / "result.json")["stop"]["reason"].split(" at step")[0].split(" of ")[0] in report
    )


def test_a_finished_run_says_so_and_changes_nothing(finished, launcher, read):
    before = read.tree(finished.runs["regression"])
    again = launcher.run("regression", f"run.dir={finished.runs['regression']}", "eval.every=10 steps")
    assert again.out.startswith("already finished: ")
    assert "--fresh" in again.out
    assert read.tree(finished.runs["regression"]) == before
