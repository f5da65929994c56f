"""What a run looks at and when: cadence, growing subsets, clusters, further sets, slices, a test split."""

import signal

import pytest

pytestmark = pytest.mark.slow

GENERAL = (
    "eval.sets={general: {source: 'python:rows:phrases', arguments: {count: 41}, text: text, label: kind, "
    "metrics: [accuracy]}}"
)
MORE = ["data.train.arguments.count=900", "data.clean.leakage=keep"]


def values(record: dict) -> tuple:
    """An evaluation but for its times."""
    keys = ("step", "metrics", "intervals", "examples", "sets", "clusters", "of", "paired", "train_loss")
    return tuple(record.get(key) for key in keys)


@pytest.fixture(scope="module")
def divided(launcher, read, tmp_path_factory):
    """The same evaluations, by one to four processes: 37 rows, of which no number of them is a divisor."""
    settings = [
        *MORE,
        GENERAL,
        "data.eval.holdout=37",
        "data.test.holdout=13",
        "eval.slices=kind",
        "eval.cluster=text",
        "batch.size=12",
        "model.new.hidden_dropout_prob=0.0",
        "model.new.attention_probs_dropout_prob=0.0",
        "eval.every=2",
        "stop=[{guard: {metric: general/loss, max_drop: 5}}, {budget: {steps: 4}}]",
    ]
    folder = tmp_path_factory.mktemp("divided")
    runs = {number: folder / str(number) for number in (1, 2, 3, 4)}
    for number, run_dir in runs.items():
        launcher.run("sequence-classification", *settings, f"run.dir={run_dir}", processes=number)
    return runs


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_each_example_counts_once_however_many_processes_score(read, divided, processes):
    ours, theirs = (read.journal(divided[number], "eval") for number in (processes, 1))
    assert [record["step"] for record in ours] == [0, 2, 4]
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine["examples"], mine["sets"], mine["clusters"]) == (37, {"general": 41}, other["clusters"])
        assert mine["metrics"] == pytest.approx(other["metrics"], rel=1e-4, abs=1e-5)
        assert mine["metrics"].keys() == other["metrics"].keys() == mine["intervals"].keys()
    scores = [(divided[number] / "scores.jsonl").read_text().splitlines() for number in (processes, 1)]
    assert len(scores[0]) == 37
    for line, other in zip(*scores, strict=True):
        assert line.partition('"loss"')[0] == other.partition('"loss"')[0]


def test_the_finished_line_holds_what_a_rule_needs(read, divided):
    last = read.journal(divided[2], "eval")[-1]
    assert {"accuracy[kind=greeting]", "loss[kind=farewell]", "worst/accuracy"} <= last["metrics"].keys()
    assert last["metrics"]["worst/loss"] == max(
        last["metrics"]["loss[kind=greeting]"], last["metrics"]["loss[kind=farewell]"]
    )
    assert {(pair["metric"], pair["against"]) for pair in last["paired"]} >= {("general/loss", 0)}
    steps = read.journal(divided[2], "train")
    assert last["train_loss"] == pytest.approx(sum(record["loss"] for record in steps[2:]) / 2)
    assert steps[-1]["device_seconds"] == pytest.approx(2 * steps[-1]["seconds"], abs=0.002)
    assert steps[-1]["memory_bytes"] > 50_000_000


AUTO = ["eval.every=auto", "stop=[{budget: {steps: 90}}]", "optimizer.schedule=constant"]


def looks(read, run_dir) -> list[int]:
    return [record["step"] for record in read.journal(run_dir, "eval")]


def test_looks_that_the_judge_plans_are_stored_and_kept_to(launcher, read, tmp_path):
    run_dir = tmp_path / "run"
    launched = launcher.start("causal-lm", *AUTO, f"run.dir={run_dir}")
    read.until(lambda: "train" in _text(run_dir) and len(looks(read, run_dir)) > 1, "two looks")
    launched.signal(signal.SIGTERM)
    assert launched.wait() in (0, 75), launched.err
    newest = max((run_dir / "checkpoints").glob("step-*"))
    state = read.json(newest / "state.json")
    before = looks(read, run_dir)
    launcher.run("causal-lm", *AUTO, f"run.dir={run_dir}")
    after = looks(read, run_dir)
    assert after[: len(before)] == before
    assert after[len(before)] == state["look"]
    assert after == sorted(set(after))
    assert after[-1] == 90


def _text(run_dir) -> str:
    path = run_dir / "metrics.jsonl"
    return path.read_text() if path.exists() else ""


def test_without_a_fixed_interval_every_look_leaves_a_checkpoint(launcher, read, tmp_path):
    run_dir = tmp_path / "run"
    launcher.run("sequence-classification", *AUTO, "run.keep=50", f"run.dir={run_dir}", processes=2)
    saved = [int(path.name[5:]) for path in sorted((run_dir / "checkpoints").iterdir())]
    assert saved == [step for step in looks(read, run_dir) if step]


def test_a_subset_may_say_go_on_and_only_all_rows_say_stop(launcher, read, tmp_path):
    settings = [
        *MORE,
        "data.eval.holdout=400",
        "eval.subset=auto",
        "eval.every=3",
        "stop=[{target: {accuracy: 0.97}, sure: 95%}, {budget: {steps: 60}}]",
    ]
    one, two = tmp_path / "one", tmp_path / "two"
    launcher.run("sequence-classification", *settings, f"run.dir={one}")
    launcher.run("sequence-classification", *settings, f"run.dir={two}", processes=2)
    records = read.journal(one, "eval")
    assert records[0]["examples"] == 64 < records[0]["of"] == 400
    assert sum(record["examples"] for record in records) < 400 * len(records)
    assert records[-1]["examples"] == 400
    result = read.json(one / "result.json")
    assert result["stop"]["rule"] == "target"
    assert result["best"]["examples"] == 400
    assert len((one / "scores.jsonl").read_text().splitlines()) == 400
    assert [record["examples"] for record in read.journal(two, "eval")[:1]] == [64]


def test_rows_that_belong_together_are_held_out_together(launcher, read, tmp_path):
    """Six animals are six clusters: intervals are wide, and no animal stands on both sides."""
    settings = [
        "eval.cluster=animal",
        "data.eval.holdout=150",
        "eval.every=5",
        "stop=[{budget: {steps: 5}}]",
        "eval.metrics=[]",
    ]
    launcher.run("causal-lm", *settings, f"run.dir={tmp_path}/run")
    first = read.journal(tmp_path / "run", "eval")[0]
    assert 1 < first["clusters"] < 6
    assert first["examples"] >= 150
    known = {"cow", "cat", "dog", "sheep", "duck", "pig"}
    held_out = {
        animal
        for line in (tmp_path / "run" / "scores.jsonl").read_text().splitlines()
        for animal in known
        if f"a {animal}." in line
    }
    assert len(held_out) == first["clusters"]
    assert read.json(tmp_path / "run" / "data.json")["train"] + first["examples"] <= 600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval.cluster=knd"], ["`eval.cluster` names the column `knd`", "did you mean `kind`"]),
        (["eval.slices=text"], ["`text` has", "0 of them in 10 rows or more"]),
        (["eval.slices=[kind, nothing]"], ["`eval.slices` names the column `nothing`"]),
        ([GENERAL.replace("rows:phrases", "rows:nobody")], ["nobody"]),
        ([GENERAL.replace("count: 41", "count: 0")], ["has no rows", "eval.sets.general"]),
        ([GENERAL, "data.clean.leakage=error"], ["training rows that stand in the evaluation data too"]),
        (["data.test.holdout=900"], ["`holdout: 900` holds out 900 rows", "data.test"]),
    ],
)
def test_what_cannot_be_measured_is_said_before_training(launcher, tmp_path, arguments, words):
    launched = launcher.run("sequence-classification", *arguments, f"run.dir={tmp_path}/run", status=2)
    for word in words:
        assert word in launched.err
    assert "Traceback" not in launched.err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
