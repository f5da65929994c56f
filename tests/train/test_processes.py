"""The same recipe learns the same thing however it is divided: passes, processes, layout."""

import pytest

pytestmark = pytest.mark.slow

STEPS = ["stop=[{budget: {steps: 20}}]", "data.train.arguments.count=300", "eval.every=10"]
CLOSE = 1e-5


def losses(launcher, read, recipe, folder, *arguments, **options):
    launcher.run(recipe, *STEPS, *arguments, f"run.dir={folder}", **options)
    records = read.journal(folder, "train")
    assert len(records) == 20
    return records, read.journal(folder, "eval")


def assert_alike(found, expected):
    for ours, theirs in zip(found[0], expected[0], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=CLOSE), ours["step"]
        for key in ("samples", "supervised_tokens", "tokens", "learning_rate", "step", "epoch"):
            assert ours[key] == theirs[key]
    for ours, theirs in zip(found[1], expected[1], strict=True):
        assert ours["metrics"] == pytest.approx(theirs["metrics"], rel=1e-4, abs=CLOSE)
        assert ours["examples"] == theirs["examples"]


@pytest.fixture(scope="module")
def full(launcher, read, tmp_path_factory):
    return losses(launcher, read, "causal-lm", tmp_path_factory.mktemp("full") / "one")


@pytest.fixture(scope="module")
def lora(launcher, read, lora_recipe, tmp_path_factory):
    return losses(launcher, read, lora_recipe, tmp_path_factory.mktemp("lora") / "one")


@pytest.mark.parametrize(
    ("arguments", "processes"),
    [
        (["batch.micro=2"], 1),
        (["batch.layout=padded"], 1),
        (["batch.layout=padded", "batch.micro=4"], 2),
        (["batch.micro=2"], 2),
        (["batch.checkpointing=true"], 1),
        (["batch.checkpointing=true", "batch.micro=4"], 2),
    ],
    ids=lambda value: (
        "+".join(one.partition(".")[2] for one in value) if isinstance(value, list) else str(value)
    ),
)
@pytest.mark.matrix(sample=3, each="processes")
def test_everything_tuned(launcher, read, full, tmp_path, arguments, processes):
    found = losses(launcher, read, "causal-lm", tmp_path / "run", *arguments, processes=processes)
    assert_alike(found, full)


@pytest.mark.parametrize(
    ("arguments", "processes"),
    [
        (["batch.layout=padded", "batch.micro=2"], 1),
        (["batch.micro=2"], 2),
        (["batch.checkpointing=true"], 1),
    ],
    ids=["padded", "two processes", "checkpointing"],
)
def test_adapters_tuned(launcher, read, lora, lora_recipe, tmp_path, arguments, processes):
    found = losses(launcher, read, lora_recipe, tmp_path / "run", *arguments, processes=processes)
    assert_alike(found, lora)


@pytest.mark.parametrize("task", ["sequence-classification", "regression"])
def test_encoders_in_two_processes(launcher, read, tmp_path, task):
    dropout = ["model.new.hidden_dropout_prob=0.0", "model.new.attention_probs_dropout_prob=0.0"]
    one = losses(launcher, read, task, tmp_path / "one", *dropout)
    two = losses(launcher, read, task, tmp_path / "two", *dropout, "batch.micro=4", processes=2)
    assert_alike(two, one)


def test_two_processes_speak_once_and_write_once(launcher, read, tmp_path):
    launched = launcher.run("causal-lm", *STEPS, f"run.dir={tmp_path}/run", processes=2)
    assert launched.processes[1].out == ""
    assert "8 a pass x 1 accumulated x 2 processes" in launched.out
    for process in launched.processes:
        assert process.err.strip() == ""
    result = read.json(tmp_path / "run" / "result.json")
    assert result["world"]["processes"] == 2
    assert read.json(tmp_path / "run" / "environment.json")["world_size"] == 2
    checkpoint = tmp_path / "run" / "checkpoints" / "step-00000020"
    assert {f"random-{rank}.json" for rank in (0, 1)} <= {path.name for path in checkpoint.iterdir()}


def test_in_two_processes_the_kept_statistics_are_the_measured_ones(launcher, read, tmp_path):
    """Batch normalisation moves in each process on its own; what is measured must be what is saved."""
    import torch
    import torch.nn.functional as F
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from tunesmith.data.load import load_rows
    from tunesmith.recipe.load import load_recipe
    from tunesmith.recipe.tasks.table import spec_of
    from tunesmith.tasks.image_classification import open_image

    run_dir = tmp_path / "run"
    noisy = [
        "optimizer.learning_rate=0.02",
        "batch.size=4",
        "stop=[{budget: {steps: 6}}]",
        "eval.baseline=false",
    ]
    launcher.run("image-classification", *noisy, f"run.dir={run_dir}", processes=2)
    recipe = load_recipe(run_dir / "recipe.yaml")
    model = AutoModelForImageClassification.from_pretrained(run_dir / "model").eval()
    processor = AutoImageProcessor.from_pretrained(run_dir / "model")
    folder = launcher.recipe("image-classification").parent
    rows = load_rows(recipe.data, spec_of(recipe.task).row_schema, recipe.run.seed, folder=folder).eval
    labels = torch.tensor([model.config.label2id[row.fields["label"]] for row in rows])
    with torch.no_grad():
        pixels = processor([open_image(row.fields["image"]) for row in rows], return_tensors="pt")
        loss = float(F.cross_entropy(model(**pixels).logits, labels))
    assert loss == pytest.approx(read.json(run_dir / "result.json")["best"]["metrics"]["loss"], abs=1e-4)
