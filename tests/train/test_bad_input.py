"""What a user can get wrong: one clear message, status 2, and nothing overwritten."""

import json
import shutil
import signal

import pytest

RECIPE = """\
task: causal-lm
model:
  dtype: float32
  new: {model_type: llama, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1,
        num_attention_heads: 2, max_position_embeddings: 64}
  tokenizer: {train: {vocab_size: 300}}
data:
  train: {source: ./rows.jsonl, prompt: question, completion: answer}
  eval: {holdout: 4}
optimizer: {learning_rate: 1e-3}
batch: {size: 8}
stop: [{budget: {steps: 3}}]
"""


@pytest.fixture
def mine(tmp_path):
    """A recipe with its data, in an empty folder."""
    (tmp_path / "mine.yaml").write_text(RECIPE)
    write_rows(tmp_path, [{"question": f"what is {i}?", "answer": f"it is {i}"} for i in range(24)])
    return tmp_path / "mine.yaml"


def write_rows(folder, rows) -> None:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))


def refused(launcher, recipe, *arguments, **options):
    """The message, which is one, and whole."""
    launched = launcher.run(recipe, *arguments, status=2, cwd=recipe.parent, **options)
    message = launched.err
    assert "Traceback" not in message
    assert "hint: " in message
    assert message.count("hint: ") == 1
    assert len(message.strip().splitlines()) <= 12
    for process in launched.processes[1:]:
        assert process.err == ""
    return message


def good(index: int) -> dict[str, str]:
    return {"question": f"question {index}", "answer": "yes"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([good(0), '{"question": "torn', *map(good, range(1, 9))], ["rows.jsonl:2"]),
        ([good(0), {"question": 7, "answer": ["x"]}, *map(good, range(1, 9))], ["rows.jsonl:2"]),
        ([], ["rows.jsonl", "no rows"]),
        ([{"question": f"q{i}", "answer": ""} for i in range(9)], ["rows.jsonl"]),
        ([good(i) for i in range(3)], ["holdout"]),
        (
            [{"question": "long " * 99, "answer": "x"}, *map(good, range(9))],
            ["rows.jsonl:1", "data.overflow", "64"],
        ),
    ],
    ids=["torn row", "wrong type", "empty file", "nothing to learn", "too few to hold out", "too long"],
)
def test_rows(launcher, mine, rows, words):
    write_rows(mine.parent, rows)
    message = refused(launcher, mine)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.train.source=./gone.jsonl"], ["gone.jsonl"]),
        (["data.max_length=100"], ["data.max_length: 100", "64 positions"]),
        (["eval.metrics=[accuracy]"], ["accuracy", "causal-lm", "exact_match"]),
        (["stop=[{target: {pearson: 0.5}}]"], ["pearson", "causal-lm"]),
        (["tune={lora: {targets: [q_prj]}}"], ["tune.lora.targets: q_prj", "did you mean `q_proj`"]),
        (["tune={lora: {targets: all-linear}, save_modules: [lm_hed]}"], ["lm_hed", "lm_head"]),
        (["tune.layers={match: nonsense}"], ["tune.layers.match: nonsense"]),
        (["tune.layers={last: 5}"], ["1 block"]),
        (["batch.micro=3"], ["batch.micro", "3", "2 or 4"]),
        (["optimizer.learning_rat=1"], ["learning_rat", "learning_rate"]),
        (["data.train.prompt=quest"], ["quest", "question"]),
        (
            ["model.new=null", "model.tokenizer=null", "model.source=some-org/some-model"],
            ["some-org/some-model"],
        ),
        (["model.new=null", "model.tokenizer=null", "model.source=./nowhere"], ["nowhere"]),
        (["model.new.model_type=lama"], ["lama", "llama"]),
        (["model.new.hidden_size=17"], ["model.new"]),
    ],
    ids=lambda value: value[0].partition("=")[0] if isinstance(value[0], str) and "=" in value[0] else "",
)
def test_settings(launcher, mine, arguments, words):
    message = refused(launcher, mine, *arguments)
    for word in words:
        assert word in message, message


def test_a_batch_that_two_processes_cannot_share(launcher, mine):
    message = refused(launcher, mine, "batch.size=15", processes=2)
    assert "`batch.size: 15` cannot be divided among 2 processes" in message
    assert "14 or 16" in message


def test_a_tokenizer_without_a_chat_template(launcher, mine, finished):
    model = mine.parent / "base"
    shutil.copytree(finished.runs["causal-lm"] / "model", model)
    (model / "chat_template.jinja").unlink()
    message = refused(launcher, mine, "model.new=null", "model.tokenizer=null", f"model.source={model}")
    assert "chat template" in message
    assert "model.chat_template" in message


def test_an_architecture_that_cannot_recompute(launcher, tmp_path):
    message = launcher.run(
        "image-classification", "batch.checkpointing=true", f"run.dir={tmp_path}/r", status=2
    ).err
    assert "a resnet model cannot recompute its activations" in message
    assert "batch.checkpointing" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("processes", [1, 2])
def test_another_recipes_run_directory(launcher, read, finished, mine, processes):
    run_dir = finished.runs["regression"]
    before = read.tree(run_dir)
    message = refused(launcher, mine, f"run.dir={run_dir}", processes=processes)
    assert "begun with another recipe" in message
    assert "run.dir=" in message
    message = launcher.run(
        "regression", f"run.dir={run_dir}", "optimizer.learning_rate=1e-5", "eval.every=10", status=2
    ).err
    assert "optimizer.learning_rate: 0.002 -> 1e-05" in message
    assert read.tree(run_dir) == before


def test_a_folder_that_is_no_run_directory(launcher, read, mine):
    folder = mine.parent / "thesis"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    before = read.tree(folder)
    message = refused(launcher, mine, f"run.dir={folder}")
    assert "`thesis.tex`" in message
    assert "no run directory" in message
    assert read.tree(folder) == before


@pytest.mark.parametrize("processes", [1, 2])
def test_two_runs_in_one_directory(launcher, read, mine, processes):
    settings = [f"run.dir={mine.parent}/run", "stop=[{budget: {steps: 100000}}]", "eval.every=100000"]
    first = launcher.start(mine, *settings, cwd=mine.parent)
    read.until(lambda: (mine.parent / "run" / "metrics.jsonl").exists() or first.ended(), "the first run")
    message = refused(launcher, mine, *settings, processes=processes)
    assert "in use by process" in message
    assert not first.ended(), first.err
    first.signal(signal.SIGKILL)
    first.wait()


def test_after_a_mistake_was_mended_the_same_directory_serves(launcher, read, mine):
    write_rows(mine.parent, [good(0), "{", *map(good, range(1, 20))])
    refused(launcher, mine)
    failed = read.json(mine.parent / "runs" / "mine" / "result.json")
    assert failed["status"] == "failed"
    assert "rows.jsonl:2" in failed["error"]
    write_rows(mine.parent, [good(index) for index in range(20)])
    launcher.run(mine, cwd=mine.parent)
    assert read.json(mine.parent / "runs" / "mine" / "result.json")["status"] == "completed"


@pytest.mark.parametrize("size", [60_000, 600_000])
def test_a_disk_that_is_full(launcher, read, mine, size):
    """A limit on the size of files stands in for a disk; what was whole stays whole."""
    from tunesmith.checkpoint.manifest import checkpoints, verify

    wide = ["model.new.hidden_size=64", "model.new.intermediate_size=256", "run.dir=run"]
    message = refused(launcher, mine, *wide, FILE_LIMIT=size)
    assert "cannot write" in message
    for folder in checkpoints(mine.parent / "run" / "checkpoints"):
        assert verify(folder) == []
    assert read.json(mine.parent / "run" / "result.json")["status"] == "failed"
    launcher.run(mine, *wide, cwd=mine.parent)
    assert not [path for path in (mine.parent / "run").rglob("*") if ".tmp-" in path.name]
