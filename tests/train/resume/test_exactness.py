"""On what terms a run goes on: exactly, on other processes, with changes, with the weights alone."""

import pytest

from tunesmith.train.resume.exactness import continuation_of, continuation_text

SETTINGS = ["eval.every=10", "data.train.arguments.count=300", "optimizer.schedule=constant", "run.keep=9"]
FACTS = {
    "processes": 1,
    "engine": "single",
    "stage": 0,
    "micro_batch_size": 8,
    "threads": 1,
    "torch": "2.13",
    "processor": "one",
    "device": "cpu",
}


def steps(count):
    return f"stop=[{{budget: {{steps: {count}}}}}]"


@pytest.mark.parametrize("key", FACTS)
def test_whatever_moves_sums_is_named(key):
    assert continuation_of(3, FACTS, FACTS).level == "exact"
    moved = continuation_of(3, FACTS, {**FACTS, key: "other"})
    assert moved.level == "order-exact"
    assert f"{FACTS[key]}, now other" in moved.why[0]
    assert continuation_of(3, {}, FACTS).level == "order-exact"


def test_what_the_command_accepts_is_named_too():
    changed = continuation_of(3, FACTS, FACTS, changes=("batch.size: 8 -> 16",))
    assert (changed.level, changed.why) == ("changed", ("batch.size: 8 -> 16",))
    alone = continuation_of(3, FACTS, FACTS, weights_only=True)
    assert alone.level == "weights-only"
    assert continuation_text(alone, "float32").startswith("continuing at step 3: with the weights alone")
    moved = continuation_of(3, FACTS, {**FACTS, "processes": 2})
    assert "losses to about 1e-05 (processes: 1, now 2)" in continuation_text(moved, "float32")


@pytest.fixture(scope="module")
def twenty(launcher, tmp_path_factory):
    """Twenty steps of a run, to be copied and continued."""
    run_dir = tmp_path_factory.mktemp("twenty") / "run"
    launcher.run("causal-lm", *SETTINGS, steps(20), f"run.dir={run_dir}")
    return run_dir


@pytest.fixture(scope="module")
def forty(launcher, tmp_path_factory):
    """Forty steps at once."""
    run_dir = tmp_path_factory.mktemp("forty") / "run"
    launcher.run("causal-lm", *SETTINGS, steps(40), f"run.dir={run_dir}")
    return run_dir


@pytest.fixture
def run_dir(twenty, tmp_path):
    import shutil

    shutil.copytree(twenty, tmp_path / "run")
    return tmp_path / "run"


def continuations(read, run_dir):
    return read.json(run_dir / "result.json")["continuations"]


@pytest.mark.slow
def test_a_changed_recipe_is_shown_and_goes_on_when_accepted(launcher, read, run_dir, forty):
    arguments = ["causal-lm", *SETTINGS, steps(40), f"run.dir={run_dir}"]
    before = read.tree(run_dir)
    refused = launcher.run(*arguments, status=2)
    assert "stop.0.budget.steps: 20 -> 40" in refused.err
    assert "--accept-changes" in refused.err
    assert read.tree(run_dir) == before
    done = launcher.run(*arguments, "--accept-changes")
    assert "continuing at step 20: with changes (stop.0.budget.steps: 20 -> 40)" in done.out
    assert continuations(read, run_dir) == [
        {"step": 20, "level": "changed", "why": ["stop.0.budget.steps: 20 -> 40"]}
    ]
    assert read.losses(run_dir) == read.losses(forty)  # the rate is constant
    assert read.weights(run_dir) == read.weights(forty)
    assert "already finished" in launcher.run(*arguments).out


@pytest.mark.slow
def test_other_rows_are_refused_until_they_are_accepted(launcher, read, run_dir):
    arguments = ["causal-lm", *SETTINGS, steps(30), "data.train.arguments.count=310", f"run.dir={run_dir}"]
    assert "data.train.0.arguments.count: 300 -> 310" in launcher.run(*arguments, status=2).err
    launcher.run(*arguments, "--accept-changes")
    (how,) = continuations(read, run_dir)
    assert how["level"] == "changed"
    assert "data: other rows" in how["why"]
    assert [record["step"] for record in read.journal(run_dir, "train")] == list(range(1, 31))


@pytest.mark.slow
def test_with_the_weights_alone_the_optimizer_begins_anew(launcher, read, run_dir, forty):
    arguments = ["causal-lm", *SETTINGS, steps(40), f"run.dir={run_dir}", "--accept-changes"]
    refused = launcher.run(*arguments, "optimizer.name=adafactor", status=2)
    assert "--weights-only" in refused.err
    launcher.run(*arguments, "optimizer.name=adafactor", "--weights-only")
    (how,) = continuations(read, run_dir)
    assert how["level"] == "weights-only"
    ours, theirs = read.losses(run_dir), read.losses(forty)
    assert ours[21] == theirs[21]  # the same weights and samples
    assert ours[25] != theirs[25]
    assert len(ours) == 40


@pytest.mark.slow
def test_another_number_of_processes_learns_from_the_same_samples(launcher, read, run_dir, forty):
    arguments = ["causal-lm", *SETTINGS, steps(40), f"run.dir={run_dir}", "--accept-changes"]
    done = launcher.run(*arguments, processes=2)
    (how,) = continuations(read, run_dir)
    assert "processes: 1, now 2" in how["why"]
    assert "continuing at step 20" in done.out
    pairs = zip(read.journal(run_dir, "train"), read.journal(forty, "train"), strict=True)
    for ours, theirs in pairs:
        assert ours["samples"] == theirs["samples"]
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
