"""Settings that change how a run computes, and not what it means."""

import pytest

pytestmark = pytest.mark.slow


def run(launcher, read, task, folder, *arguments):
    launcher.run(task, *arguments, f"run.dir={folder}")
    return read.json(folder / "result.json"), read.journal(folder, "train")


def test_adafactor_learns_too(launcher, read, tmp_path):
    settings = [
        "optimizer={name: adafactor, learning_rate: 2e-2, weight_decay: 0.01}",
        "stop=[{budget: {steps: 20}}]",
    ]
    result, records = run(launcher, read, "causal-lm", tmp_path / "run", *settings)
    assert result["final"]["metrics"]["loss"] < 0.9 * result["baseline"]["metrics"]["loss"]
    assert len(records) == 20
    assert "adafactor" in (tmp_path / "run" / "plan.txt").read_text()


@pytest.mark.parametrize("choice", ["head", "{last: 1}", "[{first: 1}, head]", "{match: 'attention'}"])
def test_only_the_chosen_layers_learn(launcher, read, finished, tmp_path, choice):
    """Starting from a finished encoder, everything else stays bit for bit."""
    from safetensors.torch import load_file

    base = finished.runs["sequence-classification"] / "model"
    settings = ["model.new=null", "model.tokenizer=null", f"model.source={base}", f"tune.layers={choice}"]
    few = ["stop=[{budget: {steps: 4}}]", "eval.baseline=false"]
    run(launcher, read, "sequence-classification", tmp_path / "run", *settings, *few)
    before, after = (
        load_file(base / "model.safetensors"),
        load_file(tmp_path / "run" / "model" / "model.safetensors"),
    )
    moved = {name for name, value in after.items() if not value.equal(before[name])}
    layer = {number: {n for n in before if f"encoder.layer.{number}." in n} for number in (0, 1)}
    head = {"classifier.weight", "classifier.bias"}
    # A bias of keys shifts all of a row's attention alike, so its gradient is nought but for rounding.
    key_bias = {name for name in before if name.endswith("key.bias")}
    expected = {
        "head": head,
        "{last: 1}": layer[1],
        "[{first: 1}, head]": layer[0] | head,
        "{match: 'attention'}": {name for name in before if "attention" in name},
    }[choice]
    assert moved | key_bias == expected | key_bias
    assert moved <= expected


def test_bfloat16_learns_and_is_saved_as_such(launcher, read, tmp_path):
    from safetensors.torch import load_file

    settings = ["model.dtype=bfloat16", "stop=[{budget: {steps: 30}}]", "eval.every=15"]
    result, _ = run(launcher, read, "causal-lm", tmp_path / "run", *settings)
    assert result["final"]["metrics"]["loss"] < 0.5 * result["baseline"]["metrics"]["loss"]
    assert read.json(tmp_path / "run" / "environment.json")["precision"] == "bfloat16"
    types = {
        str(value.dtype) for value in load_file(tmp_path / "run" / "model" / "model.safetensors").values()
    }
    assert types == {"torch.bfloat16"}
    checkpoint = next((tmp_path / "run" / "checkpoints").iterdir())
    assert {str(v.dtype) for v in load_file(checkpoint / "weights.safetensors").values()} == {"torch.float32"}


def test_without_a_baseline_and_saving_apart_from_evaluating(launcher, read, tmp_path):
    settings = [
        "eval.baseline=false",
        "eval.every=8",
        "run.save_every=5",
        "run.keep=10",
        "stop=[{budget: {steps: 18}}]",
    ]
    result, _ = run(launcher, read, "regression", tmp_path / "run", *settings)
    assert result["baseline"] is None
    assert [record["step"] for record in read.journal(tmp_path / "run", "eval")] == [8, 16, 18]
    saved = sorted(int(path.name[5:]) for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert saved == [5, 10, 15, 18]


def test_evaluating_by_epochs_and_by_tokens(launcher, read, tmp_path):
    stop = "stop=[{budget: {epochs: 2}}]"
    run(launcher, read, "regression", tmp_path / "epochs", stop, "eval.every=0.5 epochs")
    records = read.journal(tmp_path / "epochs", "eval")
    # 500 rows in batches of 16: half an epoch is passed in steps 16, 32, 47 and 63.
    assert [record["step"] for record in records] == [0, 16, 32, 47, 63]
    run(launcher, read, "regression", tmp_path / "tokens", stop, "eval.every=4000 tokens")
    tokens = [record["tokens"] for record in read.journal(tmp_path / "tokens", "eval")]
    assert len(tokens) > 2
    assert [count // 4000 for count in tokens[:-1]] == list(range(len(tokens) - 1))


def test_fewer_rows_to_evaluate_on_and_fewer_samples(launcher, read, tmp_path):
    settings = ["eval.limit=10", "eval.samples=3", "stop=[{budget: {steps: 3}}]"]
    run(launcher, read, "regression", tmp_path / "run", *settings)
    assert {record["examples"] for record in read.journal(tmp_path / "run", "eval")} == {10}
    assert len(read.json(tmp_path / "run" / "samples.json")) == 3


def test_the_seed_decides(launcher, read, tmp_path):
    settings = ["stop=[{budget: {steps: 3}}]", "eval.baseline=false"]
    losses = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(launcher, read, "regression", tmp_path / name, *settings, f"run.seed={seed}")
        losses.append(read.losses(tmp_path / name))
    assert losses[0] == losses[1] != losses[2]
