"""Losses that are not finite, and spikes: skipped, gone back from, or the end, on all processes alike."""

import math
import signal

import pytest

pytestmark = pytest.mark.slow

STEPS = 40
SETTINGS = [f"stop=[{{budget: {{steps: {STEPS}}}}}]", "eval.every=10", "data.train.arguments.count=300"]
# Which steps go wrong, how often, by what their loss is multiplied, and in which process.
SCRIPT = """\
import os, sys
import tunesmith
from tunesmith.tasks.language import causal_lm
from tunesmith.train import loop

left, factor, rank = dict(TIMES), float(FACTOR), WHERE
current, rate_of, loss_of = 0, loop.learning_rate, causal_lm.CausalLM.loss

def rate(step, *rest):
    global current
    current = step + 1
    return rate_of(step, *rest)

def loss(self, model, batch):
    found = loss_of(self, model, batch)
    if left.get(current, 0) > 0 and int(os.environ.get("RANK", "0")) == rank:
        left[current] -= 1
        found.total.data.mul_(factor)
    return found

loop.learning_rate, causal_lm.CausalLM.loss = rate, loss
sys.argv = RECIPE
tunesmith.main(RECIPE[0])
"""


@pytest.fixture
def poisoned(launcher, tmp_path):
    """Starts the smoke run with losses that go wrong."""

    def start(run_dir, *arguments, times, factor=math.nan, rank=0, **options):
        recipe = [
            str(launcher.recipe("causal-lm")),
            *SETTINGS,
            "run.threads=1",
            f"run.dir={run_dir}",
            *arguments,
        ]
        script = tmp_path / f"{run_dir.name}.py"
        facts = {"TIMES": times, "FACTOR": str(factor), "WHERE": rank, "RECIPE": recipe}
        script.write_text("\n".join(f"{name} = {value!r}" for name, value in facts.items()) + "\n" + SCRIPT)
        return launcher.start(script, **options)

    return start


def steps_of(read, run_dir):
    return [record["step"] for record in read.journal(run_dir, "train")]


def troubles(read, run_dir):
    return [(r["step"], r["action"]) for r in read.journal(run_dir, "trouble")]


@pytest.mark.parametrize(("processes", "rank"), [(1, 0), (2, 1)])
def test_by_default_the_run_stops_and_keeps_the_best_weights(poisoned, read, tmp_path, processes, rank):
    run_dir = tmp_path / "run"
    assert poisoned(run_dir, times={25: 9}, rank=rank, processes=processes).wait() == 0
    result = read.json(run_dir / "result.json")
    assert (result["stop"]["rule"], result["stop"]["step"]) == ("non-finite", 25)
    assert result["best"]["step"] <= 20
    assert (run_dir / "model" / "model.safetensors").exists()


@pytest.mark.parametrize(("factor", "key"), [(math.nan, "non_finite"), (1000.0, "spike")])
def test_a_skipped_step_changes_nothing_and_training_goes_on(poisoned, read, tmp_path, factor, key):
    run_dir = tmp_path / "run"
    assert (
        poisoned(
            run_dir, f"safety.{key}=skip", "safety.window=16", times={25: 1, 26: 1}, factor=factor
        ).wait()
        == 0
    )
    assert steps_of(read, run_dir) == list(range(1, STEPS + 1))
    assert troubles(read, run_dir) == [(25, "skip"), (26, "skip")]
    assert read.json(run_dir / "result.json")["status"] == "completed"
    losses = {record["step"]: record["loss"] for record in read.journal(run_dir, "train")}
    assert losses[27] < 2 * losses[24]


def test_skips_in_a_row_come_to_an_end(poisoned, read, tmp_path):
    run_dir = tmp_path / "run"
    settings = ["safety.non_finite=skip", "safety.at_most=2"]
    assert poisoned(run_dir, *settings, times=dict.fromkeys(range(25, 40), 1)).wait() == 0
    assert read.json(run_dir / "result.json")["stop"]["step"] == 27
    assert "2 steps in a row were skipped" in read.json(run_dir / "result.json")["stop"]["reason"]


@pytest.mark.parametrize("processes", [1, 2])
def test_going_back_restores_a_checkpoint_and_lowers_the_rate(poisoned, read, tmp_path, processes):
    run_dir = tmp_path / "run"
    settings = ["safety.non_finite=back", "optimizer.schedule=constant", "optimizer.warmup=0"]
    assert poisoned(run_dir, *settings, times={25: 1}, rank=processes - 1, processes=processes).wait() == 0
    assert steps_of(read, run_dir) == list(range(1, STEPS + 1))
    backs = read.journal(run_dir, "back")
    assert [(back["step"], back["from"], back["factor"]) for back in backs] == [(20, 25, 0.5)]
    rates = {record["step"]: record["learning_rate"] for record in read.journal(run_dir, "train")}
    assert rates[21] == rates[STEPS] == rates[20] / 2
    assert read.json(run_dir / "result.json")["status"] == "completed"


def test_from_trouble_that_stays_it_goes_further_back_and_then_stops(poisoned, read, tmp_path):
    run_dir = tmp_path / "run"
    settings = ["safety.non_finite=back", "safety.at_most=2", "run.keep=3"]
    assert poisoned(run_dir, *settings, times={25: 99}).wait() == 0
    result = read.json(run_dir / "result.json")
    assert result["stop"]["rule"] == "non-finite"
    assert "went back 2 times" in result["stop"]["reason"]
    assert [back["step"] for back in read.journal(run_dir, "back")] == [10]  # the first was cut with step 20


def test_a_run_killed_after_going_back_ends_as_one_that_was_not(poisoned, read, tmp_path):
    control, run_dir = tmp_path / "control", tmp_path / "run"
    settings = ["safety.non_finite=back", "safety.spike=back", "safety.window=16"]
    assert poisoned(control, *settings, times={25: 1}).wait() == 0
    launched = poisoned(run_dir, *settings, times={25: 1})
    journal = run_dir / "metrics.jsonl"
    text = lambda: journal.read_text() if journal.exists() else ""  # noqa: E731
    read.until(lambda: '"kind": "back"' in text() and '"step": 23' in text(), "some steps after the return")
    launched.signal(signal.SIGKILL)
    launched.wait()
    assert poisoned(run_dir, *settings, times={}).wait() == 0
    assert read.losses(run_dir) == read.losses(control)
    assert read.weights(run_dir) == read.weights(control)


def test_a_run_killed_after_going_further_back_leaves_no_step_out(poisoned, read, tmp_path):
    control, run_dir = tmp_path / "control", tmp_path / "run"
    settings = ["safety.non_finite=back", "run.keep=3"]
    assert poisoned(control, *settings, times={25: 2}).wait() == 0
    launched = poisoned(run_dir, *settings, times={25: 2})
    journal = run_dir / "metrics.jsonl"
    further = '"kind": "back", "step": 10'
    read.until(lambda: journal.exists() and further in journal.read_text(), "the second return")
    launched.signal(signal.SIGKILL)
    launched.wait()
    assert poisoned(run_dir, *settings, times={}).wait() == 0
    assert read.losses(run_dir) == read.losses(control)
    assert read.weights(run_dir) == read.weights(control)
